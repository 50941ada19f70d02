"""Requests that are repeated until an answer, and the log of all requests."""

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

#: Seconds to connect, and to wait for an answer; longer than the service's own limits.
TIMEOUT: Final = (1.0, 9.0)
#: Seconds between two tries of a request, and until the shop gives up.
PAUSE: Final = 0.4
PATIENCE: Final = 45.0
#: Seconds of a long poll for the payment's end.
HOLD: Final = 4
#: Statuses after which the same request is sent again.
TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
#: States of an operation with work left for the service.
OPEN: Final = frozenset({"queued", "running", "retrying", "unknown"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where payments are submitted. All ``urls`` are equivalent."""

    urls: Sequence[str]
    headers: Mapping[str, str]


@dataclass(slots=True)
class Log:
    """JSON lines, one per request, each written before the next step."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def write(self, **line: Any) -> None:
        """Writes a request and its result."""
        text = json.dumps({"at": time.time(), **line})
        with self._writing:
            self.counts["requests"] += 1
            status = line["status"]
            self.counts[f"answered {status}" if status else "lost"] += 1
            with self.path.open("a") as file:
                file.write(f"{text}\n")

    def count(self, name: str) -> None:
        """Counts an event that is not a request."""
        with self._writing:
            self.counts[name] += 1


class Requester:
    """Sends requests from one thread; ``over`` ends the repetitions."""

    def __init__(self, target: Target, log: Log, stop: threading.Event) -> None:
        self._target = target
        self._log = log
        self._stop = stop
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(target.headers)

    def __enter__(self) -> Requester:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def request_until_answered(
        self,
        key: str,
        path: str,
        body: Mapping[str, Any],
        web_number: int,
        **flags: bool,
    ) -> str | None:
        """The id of the payment in a 202; None if it was refused or given up.

        Repetitions go to the webs in turn, beginning with ``web_number``. ``flags`` go
        to the log.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._stop.is_set():
            status, payment = self._ask(key, self._url(web_number) + path, body, flags)
            if status is not None and status not in TRANSIENT:
                return payment
            web_number += 1
            self._stop.wait(PAUSE)
        self._log.count("given up")
        return None

    def wait_until_ended(
        self, payment: str, web_number: int, *, deadline: float
    ) -> bool:
        """Waits until ``payment`` has no open operation; False at the deadline."""
        while time.monotonic() < deadline and not self._stop.is_set():
            web_number += 1
            try:
                answer = self._session.get(
                    f"{self._url(web_number)}/{payment}",
                    params={"wait": HOLD},
                    timeout=TIMEOUT,
                )
                operations = answer.json()["operations"] if answer.ok else None
            except requests.RequestException:
                operations = None
            if operations and not any(each["state"] in OPEN for each in operations):
                return True
            self._stop.wait(PAUSE)
        return False

    def _url(self, web_number: int) -> str:
        return self._target.urls[web_number % len(self._target.urls)]

    def _ask(
        self, key: str, url: str, body: Mapping[str, Any], flags: Mapping[str, bool]
    ) -> tuple[int | None, str | None]:
        """The answer's status and the id of its payment; None for a missing one."""
        request = {"key": key, "url": url, "body": body, **flags}
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
            self._log.write(**request, status=None, lost=lost, seconds=_since(started))
            return None, None
        status = answer.status_code
        payment = str(answer.json()["id"]) if status == 202 else None
        self._log.write(**request, status=status, id=payment, seconds=_since(started))
        return status, payment


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
