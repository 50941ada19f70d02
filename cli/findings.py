"""The findings of `payments doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"

#: Seconds that one check may take before its subject counts as unreachable.
TIMEOUT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one check, with a line of advice unless it is ok."""

    name: str
    verdict: str  #: OK, WARN or FAIL
    words: str
    advice: str = ""


def unset(name: str, variable: str) -> Finding:
    """Returns the finding of a missing setting."""
    return Finding(
        name,
        FAIL,
        f"{variable} is not set and no stack runs here",
        f"Set {variable}, or start everything with `payments up`",
    )
