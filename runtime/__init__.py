"""The composition and the observability of a process."""

__version__ = "0.1.0"
