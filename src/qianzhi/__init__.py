"""The open front-end processor and supervision hub for Chinese health-data reporting."""

__version__ = "0.1.0"
