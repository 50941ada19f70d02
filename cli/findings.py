"""What `payments doctor` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"

#: Seconds one question may take before its answer is: unreachable.
TIMEOUT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one thing, with a line of advice unless it is ok."""

    name: str
    verdict: str  #: OK, WARN or FAIL
    words: str
    advice: str = ""


def unset(name: str, variable: str) -> Finding:
    """A setting is missing that something needs."""
    return Finding(
        name,
        FAIL,
        f"{variable} is not set and no stack runs here",
        f"Set {variable}, or start everything with `payments up`",
    )
