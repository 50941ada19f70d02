"""How a process is put together and seen."""

__version__ = "0.1.0"
