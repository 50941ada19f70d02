"""Admission of calls to accounts: breakers, limits, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.circuit_breaker import Call, Gate, Why
from domain.errors import ProviderError
from domain.payments.answer import Answer
from domain.rate_limit import Taken


@dataclass(frozen=True, slots=True)
class Admission:
    """Which calls may be made now, and when the others may ask again."""

    granted: Sequence[Call]
    again_in: timedelta
    after: float = 0.0  #: seconds to wait before these calls, half a second at most
    #: Those behind an open gate: waiting is for nobody knows how long. What is neither
    #: here nor granted waits for the account's limit.
    stopped: Sequence[Call] = ()


class Gates(Protocol):
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

    def tell(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """Says what came of calls."""


class Breakers(Protocol):
    """The gates of all accounts, shared by all workers and kept for good.

    Every method raises StoreUnavailable where it cannot answer.
    """

    def gates(self) -> Mapping[str, Gate]:
        """The gates that moved, and the deployment's own accounts', by ``gate_name``.

        Whatever is not among them is closed.
        """

    def open(
        self,
        name: str,
        *,
        why: Why,
        reason: str,
        by: str,
        probed: Gate | None = None,
        tried: Sequence[str] = (),
    ) -> Gate | None:
        """Opens the gate; None where that was not to be done.

        An operator's word stands: nobody else changes that. Being misconfigured comes
        before failing, and what is open for a reason is not opened for it again.
        ``probed`` is the gate whose probe failed: if no later probe was taken, it stays
        open for this reason, and rests for longer. ``tried`` are the operations that
        were refused, or whose probe it was; the last CHANGES are kept.
        """

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: Gate | None = None,
    ) -> Gate | None:
        """Closes the gate; None where that was not to be done.

        ``probed`` is the gate whose probe succeeded: that closes it if no later probe
        was taken, and no operator opened it. What opened a misconfigured gate stays
        known then: it was refused for a reason of its own.
        """

    def take_probe(self, name: str) -> Gate | None:
        """The gate with a new probe, for the one caller whose it is; else None."""


class Limiter(Protocol):
    """Each account's bucket of calls, shared by all workers; never raises."""

    def take(self, account: str, wanted: int, within: float) -> Taken:
        """As many of ``wanted`` calls as there are ``within`` so many seconds."""

    def pause(self, account: str, by: float) -> None:
        """Gives nothing for ``by`` seconds."""


class GateWatch(Protocol):
    """Counts what the gates do."""

    def opened(self, gate: Gate, why: Why) -> None:
        """This process opened a gate."""

    def probed(self, gate: Gate) -> None:
        """It sends a probe."""

    def put_off(self, account: str, count: int) -> None:
        """So many payments were not admitted."""
