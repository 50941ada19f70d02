"""The benchmark, with its real services."""
