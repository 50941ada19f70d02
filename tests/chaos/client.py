"""A shop that asks until it knows, and writes down every request and answer."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from tests.chaos.workload import Intent

#: Requests open at once: enough for the rate while some wait for a fail-over.
THREADS: Final = 24
#: Seconds to connect, and to wait for an answer; the service gives up before.
TIMEOUT: Final = (1.0, 9.0)
#: Seconds between two tries of one request, and until a shop gives up.
PAUSE: Final = 0.4
PATIENCE: Final = 45.0
#: Answers after which the same request is sent again.
PASSING: Final = frozenset({429, 500, 502, 503, 504})


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
            self.counts[f"answered {line['status']}" if line["status"] else "lost"] += 1
            with self.path.open("a") as file:
                file.write(f"{text}\n")


class Client:
    """Submits ``intents`` from threads of its own, at ``rate`` a second at most."""

    def __init__(
        self, target: Target, intents: Iterable[Intent], *, rate: float, log: Log
    ) -> None:
        self._target = target
        self._waiting = enumerate(intents)
        self._drawing = threading.Lock()
        self._rate = rate
        self._started = time.monotonic()
        self._over = threading.Event()
        self.log = log
        self._threads = [
            threading.Thread(target=self._lane, args=(lane,), name=f"client-{lane}")
            for lane in range(THREADS)
        ]

    def __enter__(self) -> Client:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def done(self) -> bool:
        """Whether every request has its answer, or was given up."""
        return not any(thread.is_alive() for thread in self._threads)

    def _lane(self, lane: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(self._target.headers)
            for place, intent in self._drawn():
                wait = self._started + place / self._rate - time.monotonic()
                if self._over.wait(max(wait, 0.0)):
                    return
                self._pursue(session, intent, lane + place)

    def _drawn(self) -> Iterator[tuple[int, Intent]]:
        while True:
            with self._drawing:
                drawn = next(self._waiting, None)
            if drawn is None:
                return
            yield drawn

    def _pursue(self, session: requests.Session, intent: Intent, turn: int) -> None:
        """The same request at one web after another until there is an answer."""
        status = self._insist(session, intent, intent.body, turn)
        if status == 202 and intent.again:
            self._insist(session, intent, intent.body, turn + 1)
        if status == 202 and intent.altered:
            body = {**intent.body, "amount": intent.body["amount"] + 1}
            self._insist(session, intent, body, turn)

    def _insist(
        self,
        session: requests.Session,
        intent: Intent,
        body: Mapping[str, Any],
        turn: int,
    ) -> int | None:
        """The definite answer's status, or None where the shop gave up."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._over.is_set():
            url = self._target.urls[turn % len(self._target.urls)]
            status = self._ask(session, intent, body, url)
            if status is not None and status not in PASSING:
                return status
            turn += 1
            self._over.wait(PAUSE)
        self.log.counts["given up"] += 1
        return None

    def _ask(
        self,
        session: requests.Session,
        intent: Intent,
        body: Mapping[str, Any],
        url: str,
    ) -> int | None:
        asked: dict[str, Any] = {"key": intent.key, "url": url, "body": body}
        asked |= {"altered": body is not intent.body, "refused": intent.refused}
        started = time.monotonic()
        try:
            answer = session.post(
                url,
                data=json.dumps(body),
                headers={
                    "Idempotency-Key": intent.key,
                    "Content-Type": "application/json",
                },
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            lost = type(error).__name__
            self.log.write(**asked, status=None, lost=lost, seconds=_since(started))
            return None
        self.log.write(
            **asked,
            status=answer.status_code,
            id=_id(answer),
            seconds=_since(started),
        )
        return answer.status_code


def _id(answer: requests.Response) -> str | None:
    """The payment that a 202 names."""
    return str(answer.json()["id"]) if answer.status_code == 202 else None


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
