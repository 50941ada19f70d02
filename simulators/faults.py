"""Faults that are armed for the next matching calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.calls import Json

#: The kinds of faults and their effects.
KINDS: Final = {
    "refuse": "close the listening socket and reset connections for `seconds`",
    "drop": "reset the connection before anything is done",
    "commit_then_drop": "carry the call out fully, then reset the connection",
    "delay": "hold the call for `seconds`, before or after carrying it out",
    "answer": "give `status`, `body` and `headers` without doing anything",
    "malformed": "carry the call out, then answer 200 with a body that is not JSON",
    "rate_limit": "429 in the provider's shape, Retry-After of `seconds`",
    "replay_500": "500, stored under the idempotency key if the provider stores errors",
    "webhooks": "deliver the next webhooks `how`: double, delay, reorder or drop",
}
HOW: Final = ("double", "delay", "reorder", "drop")
WHEN: Final = ("before", "after")
FIELDS: Final = frozenset(
    ("do", "times", "match", "seconds", "status", "body", "headers", "how", "when")
)

#: Faults listed at once, including spent ones; a chaos run arms some dozens.
MAX_FAULTS: Final = 100
#: Matching calls one fault may last for.
MAX_TIMES: Final = 1_000_000
#: Seconds; longer than any client waits.
MAX_SECONDS: Final = 3600.0
#: Calls held at once: each keeps a connection open, and 1,024 is the usual limit of
#: open files.
MAX_HELD: Final = 900
#: Default seconds of a fault: longer than a connect timeout, short in a test.
DEFAULT_SECONDS: Final = 3.0
#: Default seconds of ``Retry-After`` in a 429.
DEFAULT_RETRY_AFTER: Final = 1.0


class BadFault(ValueError):
    """The fault cannot be armed; the message has the reason."""


@dataclass(slots=True)
class DocumentFault:
    """One armed fault."""

    do: str
    #: Matching calls it still applies to.
    left: int = 1
    #: Calls it has applied to.
    fired: int = 0
    #: None matches every method.
    method: str | None = None
    #: Prefix of the path; empty matches every API call.
    path: str = ""
    seconds: float = DEFAULT_SECONDS
    status: int = 500
    #: A text is sent unchanged, any other value as JSON; None is the provider's error.
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    how: str | None = None
    when: str = "before"

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault applies to this call."""
        return (
            self.left > 0
            and self.do not in ("refuse", "webhooks")
            and self.method in (None, method)
            and path.startswith(self.path)
        )

    def listed(self) -> Json:
        """Return it as ``GET /_faults`` shows it."""
        shown: Json = {
            "do": self.do,
            "left": self.left,
            "fired": self.fired,
            "match": {"method": self.method, "path": self.path},
            "seconds": self.seconds,
            "when": self.when,
        }
        if self.do == "answer":
            shown |= {"status": self.status, "body": self.body, "headers": self.headers}
        if self.how is not None:
            shown["how"] = self.how
        return shown


def parse_fault(raw: object) -> DocumentFault:
    """Check a fault as ``POST /_faults`` receives it.

    Raises ``BadFault`` with a sentence that names the field.
    """
    if not isinstance(raw, dict):
        raise BadFault("a fault is a JSON object")
    unknown = sorted(set(raw) - FIELDS)
    if unknown:
        raise BadFault(f"unknown field {unknown[0]!r}; known: {sorted(FIELDS)}")
    do = raw.get("do")
    if do not in KINDS:
        raise BadFault(f"do must be one of {sorted(KINDS)}")
    default = DEFAULT_RETRY_AFTER if do == "rate_limit" else DEFAULT_SECONDS
    fault = DocumentFault(
        do=do,
        left=_integer(raw, "times", 1, 1, MAX_TIMES),
        seconds=_seconds(raw.get("seconds", default)),
        status=_integer(raw, "status", 500, 200, 599),
        body=raw.get("body"),
        headers=_headers(raw.get("headers", {})),
        when=_choice(raw.get("when", "before"), "when", WHEN),
    )
    fault.method, fault.path = _match(raw.get("match", {}))
    if do == "webhooks":
        fault.how = _choice(raw.get("how"), "how", HOW)
    elif "how" in raw:
        raise BadFault("how belongs to webhooks")
    return fault


def _integer(raw: Json, name: str, default: int, low: int, high: int) -> int:
    value = raw.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadFault(f"{name} must be an integer")
    if not low <= value <= high:
        raise BadFault(f"{name} must be between {low} and {high}")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFault("seconds must be a number")
    if not 0 <= value <= MAX_SECONDS:
        raise BadFault(f"seconds must be between 0 and {int(MAX_SECONDS)}")
    return float(value)


def _choice(value: object, name: str, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise BadFault(f"{name} must be one of {list(allowed)}")
    return value


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadFault("headers must be an object of strings")
    for name, text in value.items():
        if not isinstance(text, str) or any(c in name + text for c in "\r\n\0"):
            raise BadFault(f"header {name!r} must be a string on one line")
    return dict(value)


def _match(value: object) -> tuple[str | None, str]:
    if not isinstance(value, dict) or set(value) - {"method", "path"}:
        raise BadFault("match is an object of method and path, each optional")
    method, path = value.get("method"), value.get("path", "")
    if method is not None and not isinstance(method, str):
        raise BadFault("match.method must be a string")
    if not isinstance(path, str) or not (path == "" or path.startswith("/")):
        raise BadFault("match.path must be a string that starts with /")
    return (method.upper() if method else None), path


class Faults:
    """The armed faults, in the order they were armed; the first match wins."""

    def __init__(self) -> None:
        self._faults: list[DocumentFault] = []
        self._healed = asyncio.Event()
        self.held = 0

    def arm(self, fault: DocumentFault) -> None:
        """Add a fault. Raises ``BadFault`` when too many are armed."""
        if len(self._faults) >= MAX_FAULTS:
            self._faults = [known for known in self._faults if known.left]
        if len(self._faults) >= MAX_FAULTS:
            raise BadFault(f"{MAX_FAULTS} faults are armed; heal first")
        self._faults.append(fault)

    def take(self, method: str, path: str) -> DocumentFault | None:
        """Return the fault for this API call, if any, and count it down."""
        for fault in self._faults:
            if fault.matches(method, path):
                return self._fire(fault)
        return None

    def take_webhook(self) -> DocumentFault | None:
        """Return the fault for the next webhook, if any, and count it down."""
        for fault in self._faults:
            if fault.do == "webhooks" and fault.left:
                return self._fire(fault)
        return None

    def _fire(self, fault: DocumentFault) -> DocumentFault:
        fault.left -= 1
        fault.fired += 1
        return fault

    async def hold(self, seconds: float) -> None:
        """Wait ``seconds``, or until healing; not at all past ``MAX_HELD`` calls."""
        if self.held >= MAX_HELD:
            return
        self.held += 1
        try:
            await asyncio.wait_for(self._healed.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            self.held -= 1

    def heal(self) -> None:
        """Disarm everything and let the held calls go on."""
        self._faults.clear()
        self._healed.set()
        self._healed = asyncio.Event()

    def listed(self) -> list[Json]:
        """Return every fault since the last healing, spent ones too."""
        return [fault.listed() for fault in self._faults]
