"""Deliver webhooks to the registered targets, subject to the armed faults."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from simulators.calls import Json, to_json
from simulators.faults import DocumentFault, Faults
from simulators.overwrites import Overwrites

#: Targets at once; the providers allow 16 and 10.
MAX_TARGETS: Final = 10
#: Deliveries remembered for ``GET /_webhooks``; the oldest are forgotten.
MAX_DELIVERIES: Final = 1_000
#: Deliveries waiting to be sent; further ones are dropped at once.
MAX_QUEUED: Final = 10_000
#: Concurrent requests: a slow receiver must not delay the others.
SENDERS: Final = 4
#: Tries of one delivery. With the waits below they span half a minute, which is
#: long enough for a receiver to be restarted.
MAX_TRIES: Final = 8
#: Seconds before the second try; each further wait is twice as long.
FIRST_WAIT: Final = 0.25
#: Seconds a receiver has to answer.
TIMEOUT: Final = 10.0

#: Events kept for repetition, some 50 MB; the oldest are forgotten.
MAX_KEPT: Final = 10_000

#: Makes the headers for a body: ``sign(secrets, event id, body, base URL)``.
Sign = Callable[[tuple[str, ...], str, bytes, str], Mapping[str, str]]


class BadTarget(ValueError):
    """The target cannot be registered; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target of webhooks, and the signing secrets (PayPal: the webhook id).

    During a roll there are two secrets: the new one and the old one.
    """

    url: str
    secrets: tuple[str, ...]


@dataclass(slots=True)
class Delivery:
    """One webhook on its way to one target."""

    event_id: str
    event_type: str
    target: Target
    body: bytes = field(repr=False)
    #: queued, delivered, failed, or dropped by a fault.
    state: str = "queued"
    tries: int = 0
    #: Status of the last answer; None without one.
    status: int | None = None

    def listed(self) -> Json:
        """Return it as ``GET /_webhooks`` shows it."""
        return {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "url": self.target.url,
            "state": self.state,
            "tries": self.tries,
            "status": self.status,
        }


class Webhooks:
    """The targets, the queue of deliveries and the tasks that send them."""

    def __init__(
        self,
        sign: Sign,
        default_secret: str,
        faults: Faults,
        rolls: bool = False,
        *,
        most: int = MAX_KEPT,
    ) -> None:
        """``rolls``: whether a target may have an old secret beside the new one.

        ``most`` events are kept for repetition.
        """
        self._most = most
        self._sign = sign
        self.default_secret = default_secret
        self._rolls = rolls
        self._base = ""
        self._faults = faults
        self.targets: list[Target] = []
        self.overwrites = Overwrites()
        #: Type and content of the latest events, by id.
        self._kept: OrderedDict[str, tuple[str, Json]] = OrderedDict()
        self._deliveries: deque[Delivery] = deque(maxlen=MAX_DELIVERIES)
        #: Each entry is sent in turn; different entries may overtake each other.
        self._queue: asyncio.Queue[tuple[Delivery, ...]] = asyncio.Queue(MAX_QUEUED)
        self._reordered: list[Delivery] = []
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def register(
        self, url: object, secret: object = None, old_secret: object = None
    ) -> Target:
        """Add a target, or replace the one with the same URL.

        Raises ``BadTarget`` for a URL that is not http(s), for too many targets, or
        for an old secret at a provider without them.
        """
        if not isinstance(url, str) or not _is_http(url):
            raise BadTarget("url must be an absolute http or https URL")
        secrets = [secret or self.default_secret]
        if old_secret is not None:
            if not self._rolls:
                raise BadTarget("this provider takes no old_secret")
            secrets.append(old_secret)
        if not all(isinstance(each, str) and each for each in secrets):
            raise BadTarget("a secret must be a non-empty string")
        target = Target(url, tuple(map(str, secrets)))
        self.targets = [known for known in self.targets if known.url != url]
        if len(self.targets) >= MAX_TARGETS:
            raise BadTarget(f"{MAX_TARGETS} targets are registered already")
        self.targets.append(target)
        return target

    def publish(self, event_id: str, event_type: str, event: Json) -> None:
        """Send one event to every target, and keep it for repetition."""
        self._kept[event_id] = event_type, event
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        self._send_to_all(event_id)

    def resend(self, event_id: object) -> int:
        """Send a kept event again and return the number of targets.

        Raises ``ValueError`` for an event that is not kept.
        """
        if not isinstance(event_id, str) or event_id not in self._kept:
            raise ValueError("event_id must name a kept event")
        return self._send_to_all(event_id)

    def listed(self) -> list[Json]:
        """Return the latest deliveries, oldest first."""
        return [delivery.listed() for delivery in self._deliveries]

    async def start(self, base: str) -> None:
        """Start the sending tasks; ``base`` is the simulator's own URL."""
        self._base = base
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        self._session = aiohttp.ClientSession(timeout=timeout)
        self._tasks = [
            asyncio.create_task(self._send_queued(self._session))
            for _ in range(SENDERS)
        ]

    async def stop(self) -> None:
        """Stop at once; queued deliveries are lost, like the whole state."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _send_to_all(self, event_id: str) -> int:
        event_type, event = self._kept[event_id]
        body = to_json(event) if self.targets else b""
        body = self.overwrites.in_body(body)
        for target in self.targets:
            self._dispatch(Delivery(event_id, event_type, target, body))
        return len(self.targets)

    def _dispatch(self, delivery: Delivery) -> None:
        self._deliveries.append(delivery)
        fault = self._faults.take_webhook()
        how = fault.how if fault else None
        if fault is None:
            self._enqueue(delivery)
        elif how == "drop":
            delivery.state = "dropped"
        elif how == "delay":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.seconds, self._enqueue, delivery)
        elif how == "reorder":
            self._hold_back(delivery, fault)
        else:
            self._enqueue(delivery)
            twin = Delivery(
                delivery.event_id, delivery.event_type, delivery.target, delivery.body
            )
            self._deliveries.append(twin)
            self._enqueue(twin)

    def _hold_back(self, delivery: Delivery, fault: DocumentFault) -> None:
        """Send this fault's webhooks in reverse order once it is spent or times out."""
        self._reordered.append(delivery)
        if fault.left == 0:
            self._release()
        elif len(self._reordered) == 1:
            loop = asyncio.get_running_loop()
            loop.call_later(fault.seconds, self._release)

    def _release(self) -> None:
        held, self._reordered = self._reordered, []
        self._enqueue(*reversed(held))

    def _enqueue(self, *deliveries: Delivery) -> None:
        try:
            self._queue.put_nowait(deliveries)
        except asyncio.QueueFull:
            for delivery in deliveries:
                delivery.state = "failed"

    async def _send_queued(self, session: aiohttp.ClientSession) -> None:
        while True:
            for delivery in await self._queue.get():
                await self._send(session, delivery)

    async def _send(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        """Try once; settle the delivery, or queue it again after a wait."""
        if await self._try(session, delivery):
            delivery.state = "delivered"
        elif delivery.tries >= MAX_TRIES:
            delivery.state = "failed"
        else:
            wait = FIRST_WAIT * 2 ** (delivery.tries - 1)
            asyncio.get_running_loop().call_later(wait, self._enqueue, delivery)

    async def _try(self, session: aiohttp.ClientSession, delivery: Delivery) -> bool:
        delivery.tries += 1
        target = delivery.target
        headers = {
            "Content-Type": "application/json",
            **self._sign(target.secrets, delivery.event_id, delivery.body, self._base),
        }
        try:
            async with session.post(
                target.url, data=delivery.body, headers=headers, allow_redirects=False
            ) as answer:
                delivery.status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            delivery.status = None
            return False
        return 200 <= answer.status < 300


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
