"""What can go wrong with a benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """The benchmark cannot go on; the message says why and where the logs are."""
