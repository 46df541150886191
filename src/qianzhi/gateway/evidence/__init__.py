"""Evidence: what a regulator may ask to see of a record, registered, guarded and served by the hospital."""
