"""What a regulator wants, as values; parsing of given bytes. Pure."""
