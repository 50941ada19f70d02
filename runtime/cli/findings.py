"""What `payments doctor` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one thing, with a line of advice unless it is ok."""

    name: str
    verdict: str  #: OK, WARN or FAIL
    words: str
    advice: str = ""
