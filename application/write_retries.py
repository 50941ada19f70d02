"""Retries of writes that other processes overtake."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from domain.errors import PaymentsError

_T = TypeVar("_T")


def retry_write(
    write: Callable[[], _T | None], *, rounds: int, error: PaymentsError
) -> _T:
    """The result of the first ``write`` that no other process overtook.

    ``write`` reads, changes and writes. It returns None where another process wrote in
    between. Raises ``error`` after so many ``rounds``.
    """
    for _ in range(rounds):
        result = write()
        if result is not None:
            return result
    raise error
