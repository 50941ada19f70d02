"""Writes that another process may get ahead of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from domain.errors import PaymentsError

_T = TypeVar("_T")


def retry_on_conflict(
    write: Callable[[], _T | None], *, rounds: int, error: PaymentsError
) -> _T:
    """The result of the first ``write`` that met no other one.

    ``write`` reads, changes and writes; it returns None where somebody else wrote in
    between. Raises ``error`` after so many ``rounds``.
    """
    for _ in range(rounds):
        done = write()
        if done is not None:
            return done
    raise error
