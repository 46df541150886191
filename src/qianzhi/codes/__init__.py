"""Code systems as Polars can use them, and the maps from a hospital's own codes to them. Pure."""
