"""A shop that asks until it knows, and writes down every request and answer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.chaos.asking import Asker, Log, Target
from tests.chaos.workload import FollowUp, Intent

#: Requests for payments open at once: enough for the rate while some wait for a
#: fail-over.
THREADS: Final = 24
#: Payments whose follow-ups are pursued at once; most of the time they wait.
DESKS: Final = 24
#: Seconds that follow-ups of a payment are pursued for.
FOLLOW: Final = 90.0
#: Seconds between two looks for work.
PAUSE: Final = 0.1


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
        self._paid: deque[tuple[Intent, str]] = deque()
        self._followed: set[str] = set()
        self.log = log
        self._lanes = [
            threading.Thread(target=self._lane, args=(lane,), name=f"client-{lane}")
            for lane in range(THREADS)
        ]
        self._desks = [
            threading.Thread(target=self._desk, args=(desk,), name=f"desk-{desk}")
            for desk in range(DESKS)
        ]

    def __enter__(self) -> Client:
        self._started = time.monotonic()
        for thread in (*self._lanes, *self._desks):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in (*self._lanes, *self._desks):
            thread.join()

    def paying(self) -> bool:
        """Whether payments are still submitted."""
        return any(thread.is_alive() for thread in self._lanes)

    def done(self) -> bool:
        """Whether every request has its answer, or was given up."""
        return not any(thread.is_alive() for thread in (*self._lanes, *self._desks))

    def _lane(self, lane: int) -> None:
        with Asker(self._target, self.log, self._over) as asker:
            for place, intent in self._drawn():
                wait = self._started + place / self._rate - time.monotonic()
                if self._over.wait(max(wait, 0.0)):
                    return
                self._pursue(asker, intent, lane + place)

    def _drawn(self) -> Iterator[tuple[int, Intent]]:
        while True:
            with self._drawing:
                drawn = next(self._waiting, None)
            if drawn is None:
                return
            yield drawn

    def _pursue(self, asker: Asker, intent: Intent, turn: int) -> None:
        """The payment, and what else its shop asks at once."""
        told = {"pays": True, "refused": intent.refused}
        paid = asker.insist(intent.key, "", intent.body, turn, **told, altered=False)
        if paid is None:
            return
        if intent.again:
            asker.insist(intent.key, "", intent.body, turn + 1, **told, altered=False)
        if intent.altered:
            body = {**intent.body, "amount": intent.body["amount"] + 1}
            asker.insist(intent.key, "", body, turn, **told, altered=True)
        if intent.steps:
            with self._drawing:
                if intent.key not in self._followed:
                    self._followed.add(intent.key)
                    self._paid.append((intent, paid))

    def _desk(self, desk: int) -> None:
        """Follow-ups, until no more payments come that could have some."""
        with Asker(self._target, self.log, self._over) as asker:
            while not self._over.is_set():
                last = not self.paying()
                try:
                    intent, payment = self._paid.popleft()
                except IndexError:
                    if last:
                        return
                    self._over.wait(PAUSE)
                    continue
                self._follow(asker, intent, payment, desk)

    def _follow(self, asker: Asker, intent: Intent, payment: str, turn: int) -> None:
        deadline = time.monotonic() + FOLLOW
        for place, step in enumerate(intent.steps):
            wait = place > 0 or not intent.hasty
            if wait and not asker.ended(payment, turn, deadline=deadline):
                self.log.count("follow-ups given up")
                return
            wanted = [
                (f"{intent.key}-{place}-{number}", one)
                for number, one in enumerate(step)
            ]
            with ThreadPoolExecutor(len(step)) as pool:
                for number, (key, one) in enumerate(wanted):
                    body = _body(intent, one)
                    path = f"/{payment}/{one.call}"
                    pool.submit(self._request, key, path, body, turn + number)

    def _request(self, key: str, path: str, body: Mapping[str, Any], turn: int) -> None:
        with Asker(self._target, self.log, self._over) as asker:
            told = {"pays": False, "refused": False, "altered": False}
            asker.insist(key, path, body, turn, **told)


def _body(intent: Intent, one: FollowUp) -> dict[str, Any]:
    if one.part is None:
        return {}
    return {"amount": intent.body["amount"] * one.part // 100}
