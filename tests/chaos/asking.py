"""One request, repeated until there is an answer, and the log of all requests."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

#: Seconds to connect, and to wait for an answer; the service gives up before.
TIMEOUT: Final = (1.0, 9.0)
#: Seconds between two tries of one request, and until a shop gives up.
PAUSE: Final = 0.4
PATIENCE: Final = 45.0
#: Seconds that a read may be held until the payment has ended.
HOLD: Final = 4
#: Answers after which the same request is sent again.
PASSING: Final = frozenset({429, 500, 502, 503, 504})
#: States of an operation on which work is owed.
OWED: Final = frozenset({"queued", "running", "retrying", "unknown"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where payments are submitted: any of ``urls`` is as good."""

    urls: Sequence[str]
    headers: Mapping[str, str]


@dataclass(slots=True)
class Log:
    """JSON lines, one for each request; written before anything follows from it."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def write(self, **line: Any) -> None:
        """One request and what came of it."""
        text = json.dumps({"at": time.time(), **line})
        with self._writing:
            self.counts["requests"] += 1
            status = line["status"]
            self.counts[f"answered {status}" if status else "lost"] += 1
            with self.path.open("a") as file:
                file.write(f"{text}\n")

    def count(self, what: str) -> None:
        """Something that is no request."""
        with self._writing:
            self.counts[what] += 1


class Asker:
    """Asks from one thread; ``over`` ends its patience."""

    def __init__(self, target: Target, log: Log, over: threading.Event) -> None:
        self._target = target
        self._log = log
        self._over = over
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(target.headers)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def insist(
        self, key: str, path: str, body: Mapping[str, Any], turn: int, **told: bool
    ) -> str | None:
        """The payment that a 202 named; None where it was refused or given up.

        The same request goes to one web after another, from the ``turn``-th on;
        ``told`` goes to the log.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._over.is_set():
            status, payment = self._ask(key, self._url(turn) + path, body, told)
            if status is not None and status not in PASSING:
                return payment
            turn += 1
            self._over.wait(PAUSE)
        self._log.count("given up")
        return None

    def ended(self, payment: str, turn: int, *, deadline: float) -> bool:
        """Waits until no operation of ``payment`` is open; False at the deadline."""
        while time.monotonic() < deadline and not self._over.is_set():
            turn += 1
            try:
                answer = self._session.get(
                    f"{self._url(turn)}/{payment}",
                    params={"wait": HOLD},
                    timeout=TIMEOUT,
                )
                operations = answer.json()["operations"] if answer.ok else None
            except requests.RequestException:
                operations = None
            if operations and not any(one["state"] in OWED for one in operations):
                return True
            self._over.wait(PAUSE)
        return False

    def _url(self, turn: int) -> str:
        return self._target.urls[turn % len(self._target.urls)]

    def _ask(
        self, key: str, url: str, body: Mapping[str, Any], told: Mapping[str, bool]
    ) -> tuple[int | None, str | None]:
        """The answer's status and the payment that it names, as far as there are."""
        asked = {"key": key, "url": url, "body": body, **told}
        started = time.monotonic()
        try:
            answer = self._session.post(
                url,
                data=json.dumps(body),
                headers={"Idempotency-Key": key, "Content-Type": "application/json"},
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            lost = type(error).__name__
            self._log.write(**asked, status=None, lost=lost, seconds=_since(started))
            return None, None
        status = answer.status_code
        payment = str(answer.json()["id"]) if status == 202 else None
        self._log.write(**asked, status=status, id=payment, seconds=_since(started))
        return status, payment


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
