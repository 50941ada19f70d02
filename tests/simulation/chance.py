"""The choices of the simulated world: by a seed, or by a script."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import Final, Protocol


class Fault(StrEnum):
    """The outcome of one call to a provider."""

    NONE = "none"
    REFUSED = "refused"  #: no connection: provably not sent
    REQUEST_LOST = "request_lost"  #: the request never arrives
    ANSWER_LOST = "answer_lost"  #: carried out, and the answer never arrives
    SLOW = "slow"  #: carried out after the caller gave up; until then in flight
    ERROR_BEFORE = "error_before"  #: a 500, nothing carried out
    ERROR_AFTER = "error_after"  #: a 500, yet carried out
    GATEWAY = "gateway"  #: slow, and a 504 that forbids a resend
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"


class Payer(StrEnum):
    """The decision of the payer's bank about a call that reached the provider."""

    PAYS = "pays"
    DECLINES = "declines"
    MUST_ACT = "must_act"  #: the payer has to confirm first
    PENDS = "pends"  #: accepted, decided later


class PayerAction(StrEnum):
    """The action of a payer who must act, and its time."""

    AGREES = "agrees"
    AT_ONCE = "at_once"  #: before the first lookup
    LATE = "late"  #: shortly before the deadline
    REFUSES = "refuses"
    NEVER = "never"  #: closes the browser


class Chance(Protocol):
    """Decides the events around the product."""

    def fault(self) -> Fault:
        """The fault of the next call to a provider."""

    def payer(self) -> Payer:
        """The decision about the next charge, authorization or refund."""

    def payer_action(self) -> PayerAction:
        """The action of the next payer who must act."""

    def fails(self, event: str) -> bool:
        """Whether the next event of this kind goes wrong."""

    def fraction(self) -> float:
        """A uniform number in [0, 1)."""


class NoFaults:
    """Nothing goes wrong."""

    def fault(self) -> Fault:
        return Fault.NONE

    def payer(self) -> Payer:
        return Payer.PAYS

    def payer_action(self) -> PayerAction:
        return PayerAction.AGREES

    def fails(self, event: str) -> bool:
        return False

    def fraction(self) -> float:
        return 0.5


class ScriptedChance(NoFaults):
    """``faults`` and ``payers`` for the first calls, in order; later calls succeed."""

    def __init__(
        self, faults: Sequence[Fault] = (), payers: Sequence[Payer] = ()
    ) -> None:
        self._faults, self._payers = list(faults), list(payers)

    def fault(self) -> Fault:
        return self._faults.pop(0) if self._faults else Fault.NONE

    def payer(self) -> Payer:
        return self._payers.pop(0) if self._payers else Payer.PAYS


_FAULTS: Final = tuple(Fault)
_WEIGHTS: Final = tuple(accumulate((50, 4, 10, 12, 10, 6, 8, 3, 4, 2)))
_PAYERS: Final = (Payer.PAYS, Payer.DECLINES, Payer.MUST_ACT, Payer.PENDS)
_ACTS: Final = tuple(PayerAction)

#: The probability of each failure.
_FAILS: Final = {
    "store": 0.015,  #: the database does not answer, before or after its effect
    "notify": 0.10,  #: a message is lost
    "echo": 0.05,  #: a message comes twice
    "amount": 0.01,  #: the moved amount differs from the requested one
    "hold": 0.1,  #: the hold ends within minutes
    "again": 0.25,  #: a second agreement of the payer is needed
    "invoice": 0.5,  #: PayPal refuses for another reason before it checks the invoice
}


class RandomChance:
    """Lets everything go wrong at random."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def fault(self) -> Fault:
        return self._random.choices(_FAULTS, cum_weights=_WEIGHTS)[0]

    def payer(self) -> Payer:
        return self._random.choices(_PAYERS, cum_weights=(74, 83, 93, 100))[0]

    def payer_action(self) -> PayerAction:
        return self._random.choices(_ACTS, cum_weights=(50, 65, 80, 90, 100))[0]

    def fails(self, event: str) -> bool:
        return self._random.random() < _FAILS[event]

    def fraction(self) -> float:
        return self._random.random()
