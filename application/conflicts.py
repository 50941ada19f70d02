"""Retries of writes that conflict with another process's write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from domain.errors import PaymentsError

_T = TypeVar("_T")


def retry_on_conflict(
    write: Callable[[], _T | None], *, rounds: int, error: PaymentsError
) -> _T:
    """The result of the first ``write`` without a conflict.

    ``write`` reads, changes and writes. It returns None where another process wrote in
    between. Raises ``error`` after so many ``rounds``.
    """
    for _ in range(rounds):
        result = write()
        if result is not None:
            return result
    raise error
