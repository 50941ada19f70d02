"""Errors of the benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """The benchmark cannot continue; the message has the reason and the logs' path."""
