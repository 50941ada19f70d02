"""A shop that repeats requests until an answer, and logs each of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.chaos.requester import Requester, Log, Target
from tests.chaos.workload import FollowUp, Intent

#: Concurrent submissions: enough for the rate while some wait for a fail-over.
THREADS: Final = 24
#: Payments with concurrent follow-ups, which mostly wait.
FOLLOWERS: Final = 24
#: Seconds for a payment's follow-ups.
FOLLOW: Final = 90.0
#: Seconds between two checks for work.
PAUSE: Final = 0.1


class Client:
    """Submits ``intents`` from its own threads, at ``rate`` a second at most."""

    def __init__(
        self, target: Target, intents: Iterable[Intent], *, rate: float, log: Log
    ) -> None:
        self._target = target
        self._waiting = enumerate(intents)
        self._lock = threading.Lock()
        self._rate = rate
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._paid: deque[tuple[Intent, str]] = deque()
        self._followed: set[str] = set()
        self.log = log
        self._lanes = [
            threading.Thread(target=self._lane, args=(lane,), name=f"client-{lane}")
            for lane in range(THREADS)
        ]
        self._followers = [
            threading.Thread(target=self._run_follow_ups, args=(number,))
            for number in range(FOLLOWERS)
        ]

    def __enter__(self) -> Client:
        self._started = time.monotonic()
        for thread in (*self._lanes, *self._followers):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in (*self._lanes, *self._followers):
            thread.join()

    def is_submitting(self) -> bool:
        """Whether payments are still submitted."""
        return any(thread.is_alive() for thread in self._lanes)

    def is_done(self) -> bool:
        """Whether every request was answered or given up."""
        return not any(thread.is_alive() for thread in (*self._lanes, *self._followers))

    def _lane(self, lane: int) -> None:
        with Requester(self._target, self.log, self._stop) as requester:
            for place, intent in self._take_intents():
                wait = self._started + place / self._rate - time.monotonic()
                if self._stop.wait(max(wait, 0.0)):
                    return
                self._submit(requester, intent, lane + place)

    def _take_intents(self) -> Iterator[tuple[int, Intent]]:
        while True:
            with self._lock:
                drawn = next(self._waiting, None)
            if drawn is None:
                return
            yield drawn

    def _submit(self, requester: Requester, intent: Intent, web_number: int) -> None:
        """Submits the payment, and its repetitions."""
        flags = {"pays": True, "refused": intent.refused}
        paid = requester.request_until_answered(
            intent.key, "", intent.body, web_number, **flags, altered=False
        )
        if paid is None:
            return
        if intent.repeated:
            requester.request_until_answered(
                intent.key, "", intent.body, web_number + 1, **flags, altered=False
            )
        if intent.altered:
            body = {**intent.body, "amount": intent.body["amount"] + 1}
            requester.request_until_answered(
                intent.key, "", body, web_number, **flags, altered=True
            )
        if intent.steps:
            with self._lock:
                if intent.key not in self._followed:
                    self._followed.add(intent.key)
                    self._paid.append((intent, paid))

    def _run_follow_ups(self, number: int) -> None:
        """Makes follow-ups until no more payments are submitted."""
        with Requester(self._target, self.log, self._stop) as requester:
            while not self._stop.is_set():
                last = not self.is_submitting()
                try:
                    intent, payment = self._paid.popleft()
                except IndexError:
                    if last:
                        return
                    self._stop.wait(PAUSE)
                    continue
                self._request_follow_ups(requester, intent, payment, number)

    def _request_follow_ups(
        self, requester: Requester, intent: Intent, payment: str, web_number: int
    ) -> None:
        deadline = time.monotonic() + FOLLOW
        for place, step in enumerate(intent.steps):
            wait = place > 0 or not intent.hasty
            if wait and not requester.wait_until_ended(
                payment, web_number, deadline=deadline
            ):
                self.log.count("follow-ups given up")
                return
            wanted = [
                (f"{intent.key}-{place}-{number}", follow_up)
                for number, follow_up in enumerate(step)
            ]
            with ThreadPoolExecutor(len(step)) as pool:
                for number, (key, follow_up) in enumerate(wanted):
                    body = _body(intent, follow_up)
                    path = f"/{payment}/{follow_up.call}"
                    pool.submit(self._request, key, path, body, web_number + number)

    def _request(
        self, key: str, path: str, body: Mapping[str, Any], web_number: int
    ) -> None:
        with Requester(self._target, self.log, self._stop) as requester:
            flags = {"pays": False, "refused": False, "altered": False}
            requester.request_until_answered(key, path, body, web_number, **flags)


def _body(intent: Intent, follow_up: FollowUp) -> dict[str, Any]:
    if follow_up.part is None:
        return {}
    return {"amount": intent.body["amount"] * follow_up.part // 100}
