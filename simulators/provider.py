"""The interface of a simulated provider to the HTTP server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from simulators.calls import Answer, Call, Request, Route
from simulators.clock import Clock
from simulators.faults import Faults
from simulators.idempotency import IdempotencyKeys
from simulators.ledger import Ledger
from simulators.overwrites import Overwrites
from simulators.rate_limit import RateLimit
from simulators.webhooks import Webhooks


@dataclass(slots=True)
class World:
    """The state that every provider shares with the control endpoints."""

    clock: Clock
    ledger: Ledger
    faults: Faults
    keys: IdempotencyKeys
    webhooks: Webhooks
    rate_limit: RateLimit = field(default_factory=RateLimit)

    @property
    def overwrites(self) -> Overwrites:
        """Return the overwritten fields of objects, for answers and events."""
        return self.webhooks.overwrites


@dataclass(frozen=True, slots=True)
class Page:
    """A page for payers or tests: no authentication, no faults, no latency."""

    method: str
    path: str
    handler: Callable[[Request], Answer]


class Provider(Protocol):
    """A simulated provider; every method is quick and does no I/O."""

    world: World

    @property
    def routes(self) -> Sequence[Route]:
        """Return the operations of the API."""

    @property
    def pages(self) -> Sequence[Page]:
        """Return the pages for payers and tests beside the API."""

    def open(self, request: Request, route: Route) -> Call:
        """Authenticate and parse. Raises ``Refused`` with the provider's own error."""

    def scope(self, call: Call, route: Route) -> tuple[str, ...]:
        """Return the scope of this call's idempotency key."""

    def in_progress(self, call: Call) -> Answer:
        """Answer a repeated key whose first request still runs."""

    def mismatch(self, call: Call, first_path: str) -> Answer:
        """Answer a key that an earlier, different request used."""

    def replayed(self, answer: Answer, call: Call) -> Answer:
        """Mark an answer as repeated."""

    def rate_limited(self, retry_after: float) -> Answer:
        """Answer 429; ``retry_after`` is in seconds."""

    def failed(self, message: str, *, replayable: bool) -> Answer:
        """Answer 500; ``replayable``: stored under the key, as at Stripe."""

    def unknown_path(self, method: str, path: str) -> Answer:
        """Answer 404 for an operation that does not exist."""

    def too_large(self) -> Answer:
        """Answer 413 for a body over the limit."""
