"""Parse a raw frame, then frame in, findings out: compiler, identifiers, batch rules. Pure."""
