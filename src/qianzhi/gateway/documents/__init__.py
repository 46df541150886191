"""Documents that an institution hands in, files that it is given, and the forms of its regulator."""
