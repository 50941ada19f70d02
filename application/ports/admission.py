"""Admission of calls to accounts: breakers, limits, and their metrics."""

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
    """Which calls may be made now, and when the others may ask again."""

    granted: Sequence[Call]
    retry_in: timedelta
    delay: float = 0.0  #: seconds to wait before these calls, half a second at most
    #: Those behind an open breaker: waiting is for nobody knows how long. What is
    #: neither here nor granted waits for the account's limit.
    blocked: Sequence[Call] = ()


class AdmissionControl(Protocol):
    """Stands before each account, by its id: at most so many calls, or none.

    Whoever is admitted waits as long as it says, makes the calls and tells of each.
    Neither method raises, whatever it depends on is doing.
    """

    def admit(
        self, account: str, calls: Sequence[Call], *, urgent: bool = True
    ) -> Admission:
        """Takes leave for ``calls``, each of another operation.

        What is not ``urgent`` leaves room for what is.
        """

    def record(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """Says what came of calls."""


class BreakerStore(Protocol):
    """The breakers of all accounts, shared by all workers and kept for good.

    Every method raises StoreUnavailable where it cannot answer.
    """

    def load_all(self) -> Mapping[str, CircuitBreaker]:
        """The breakers that moved, and the deployment's own accounts', by
        ``breaker_name``.

        Whatever is not among them is closed.
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
        """Opens the breaker; None where that was not to be done.

        An operator's word stands: nobody else changes that. Being misconfigured comes
        before failing, and what is open for a reason is not opened for it again.
        ``probed`` is the breaker whose probe failed: if no later probe was taken, it
        stays open for this reason, and rests for longer. ``tried`` are the operations
        that were refused, or whose probe it was; the last CHANGES are kept.
        """

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: CircuitBreaker | None = None,
    ) -> CircuitBreaker | None:
        """Closes the breaker; None where that was not to be done.

        ``probed`` is the breaker whose probe succeeded: that closes it if no later
        probe was taken, and no operator opened it. What opened a misconfigured breaker
        stays known then: it was refused for a reason of its own.
        """

    def claim_probe(self, name: str) -> CircuitBreaker | None:
        """The breaker with a new probe, for the one caller whose it is; else None."""


class RateLimiter(Protocol):
    """Each account's bucket of calls, shared by all workers; never raises."""

    def acquire(self, account: str, wanted: int, within: float) -> TokenGrant:
        """As many of ``wanted`` calls as there are ``within`` so many seconds."""

    def pause(self, account: str, by: float) -> None:
        """Gives nothing for ``by`` seconds."""


class AdmissionMetrics(Protocol):
    """Counts what the breakers do."""

    def count_opened(self, breaker: CircuitBreaker, trip_reason: TripReason) -> None:
        """This process opened a breaker."""

    def count_probe(self, breaker: CircuitBreaker) -> None:
        """It sends a probe."""

    def count_postponed(self, account: str, count: int) -> None:
        """So many payments were not admitted."""
