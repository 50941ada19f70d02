"""The admission of calls to accounts: breakers, rate limits and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.circuit_breaker import Call, CircuitBreaker, TripReason
from domain.errors import ProviderError
from domain.payments.answer import Answer
from domain.rate_limit import TokenGrant


@dataclass(frozen=True, slots=True)
class Admission:
    """The admitted calls, and the wait of the others."""

    granted: Sequence[Call]
    retry_in: timedelta  #: the wait of the calls that were not granted
    delay: float = 0.0  #: seconds to wait before the granted calls, at most 0.5
    #: Calls that an open breaker stops. The other calls that were not granted wait for
    #: the account's rate limit.
    blocked: Sequence[Call] = ()


class AdmissionControl(Protocol):
    """Admits calls to an account by its id, through its breakers and its rate limit.

    After admission the caller waits for ``delay``, makes the calls and records each
    outcome. Neither method raises, even where its dependencies fail.
    """

    def admit(
        self, account: str, calls: Sequence[Call], *, urgent: bool = True
    ) -> Admission:
        """Requests admission of ``calls``, each of another operation.

        Calls that are not ``urgent`` leave a part of the limit to urgent ones.
        """

    def record(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """Records the outcomes of calls."""


class BreakerStore(Protocol):
    """The breakers of all accounts, shared by all workers and stored durably.

    Every method raises StoreUnavailable where it cannot answer.
    """

    def load_all(self) -> Mapping[str, CircuitBreaker]:
        """The breakers that ever opened, and the deployment's own accounts', by name.

        All other breakers are closed.
        """

    def open(
        self,
        name: str,
        *,
        trip_reason: TripReason,
        reason: str,
        by: str,
        probed: CircuitBreaker | None = None,
        refused_operations: Sequence[str] = (),
    ) -> CircuitBreaker | None:
        """Opens the breaker; None where nothing was changed.

        A breaker that an operator opened stays as it is. MISCONFIGURED replaces
        FAILING, and an open breaker is not opened again for the same reason. ``probed``
        is the breaker whose probe failed: without a later probe it stays open for this
        reason, with a longer delay. ``refused_operations`` are those that were refused,
        or that of the probe; the last MAX_CHANGES are kept.
        """

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: CircuitBreaker | None = None,
    ) -> CircuitBreaker | None:
        """Closes the breaker; None where nothing was changed.

        ``probed`` is the breaker whose probe succeeded: that closes it, unless there
        was a later probe or an operator opened it. A misconfigured breaker keeps its
        refused operations then: they were refused for a reason of their own.
        """

    def claim_probe(self, name: str) -> CircuitBreaker | None:
        """The breaker with a new probe for one caller; None for all others."""


class RateLimiter(Protocol):
    """The bucket of calls of each account, shared by all workers; never raises."""

    def acquire(self, account: str, wanted: int, within: float) -> TokenGrant:
        """As many of the ``wanted`` calls as are available ``within`` seconds."""

    def pause(self, account: str, by: float) -> None:
        """Allows no calls for ``by`` seconds."""


class AdmissionMetrics(Protocol):
    """The metrics of admission."""

    def count_opened(self, breaker: CircuitBreaker, trip_reason: TripReason) -> None:
        """Counts a breaker that this process opened."""

    def count_probe(self, breaker: CircuitBreaker) -> None:
        """Counts a probe that this process sends."""

    def count_postponed(self, account: str, count: int) -> None:
        """Counts calls that were not admitted."""
