"""The choices of the simulated world: by a seed, or by a script."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import Final, Protocol


class Fault(StrEnum):
    """What becomes of one call to a provider."""

    NONE = "none"
    REFUSED = "refused"  #: no connection: provably not sent
    REQUEST_LOST = "request_lost"  #: it never arrives
    ANSWER_LOST = "answer_lost"  #: carried out, and the answer never arrives
    SLOW = "slow"  #: carried out after the caller gave up; until then in flight
    ERROR_BEFORE = "error_before"  #: a 500, nothing carried out
    ERROR_AFTER = "error_after"  #: a 500, yet carried out
    GATEWAY = "gateway"  #: slow, and a 504 that says: do not send this again
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"


class Payer(StrEnum):
    """What the payer's bank makes of a call that reached the provider."""

    PAYS = "pays"
    DECLINES = "declines"
    MUST_ACT = "must_act"  #: the payer has to confirm first
    PENDS = "pends"  #: taken, decided later


class Acts(StrEnum):
    """What a payer who must act does, and when."""

    AGREES = "agrees"
    AT_ONCE = "at_once"  #: before anybody asks
    LATE = "late"  #: when little is left of the time for it
    REFUSES = "refuses"
    NEVER = "never"  #: closes the browser


class Chance(Protocol):
    """Luck, as far as the world around the product goes."""

    def fault(self) -> Fault:
        """Of the next call to a provider."""

    def payer(self) -> Payer:
        """Of the next charge, authorization or refund that is carried out."""

    def acts(self) -> Acts:
        """Of the next payer who must act."""

    def fails(self, what: str) -> bool:
        """Whether the next ``what`` goes wrong."""

    def fraction(self) -> float:
        """Uniform in [0, 1)."""


class Healthy:
    """Nothing goes wrong."""

    def fault(self) -> Fault:
        """See Chance."""
        return Fault.NONE

    def payer(self) -> Payer:
        """See Chance."""
        return Payer.PAYS

    def acts(self) -> Acts:
        """See Chance."""
        return Acts.AGREES

    def fails(self, what: str) -> bool:
        """See Chance."""
        return False

    def fraction(self) -> float:
        """See Chance."""
        return 0.5


class Scripted(Healthy):
    """The first calls meet ``faults`` and ``payers``, in order; then all is well."""

    def __init__(
        self, faults: Sequence[Fault] = (), payers: Sequence[Payer] = ()
    ) -> None:
        self._faults, self._payers = list(faults), list(payers)

    def fault(self) -> Fault:
        """See Chance."""
        return self._faults.pop(0) if self._faults else Fault.NONE

    def payer(self) -> Payer:
        """See Chance."""
        return self._payers.pop(0) if self._payers else Payer.PAYS


_FAULTS: Final = tuple(Fault)
_WEIGHTS: Final = tuple(accumulate((50, 4, 10, 12, 10, 6, 8, 3, 4, 2)))
_PAYERS: Final = (Payer.PAYS, Payer.DECLINES, Payer.MUST_ACT, Payer.PENDS)
_ACTS: Final = tuple(Acts)

#: How often what goes wrong.
_FAILS: Final = {
    "store": 0.015,  #: the database does not answer, before or after its effect
    "notify": 0.10,  #: a message is lost
    "echo": 0.05,  #: a message comes twice
    "breaker": 0.05,  #: the account's breaker is closed
    "amount": 0.01,  #: another amount moves than was asked for
    "hold": 0.1,  #: money is let go within minutes
    "again": 0.25,  #: a payer who has agreed must agree once more
    "invoice": 0.5,  #: PayPal looks at the invoice last, and another no comes first
}


class Lucky:
    """Everything goes wrong now and then."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def fault(self) -> Fault:
        """See Chance."""
        return self._random.choices(_FAULTS, cum_weights=_WEIGHTS)[0]

    def payer(self) -> Payer:
        """See Chance."""
        return self._random.choices(_PAYERS, cum_weights=(74, 83, 93, 100))[0]

    def acts(self) -> Acts:
        """See Chance."""
        return self._random.choices(_ACTS, cum_weights=(50, 65, 80, 90, 100))[0]

    def fails(self, what: str) -> bool:
        """See Chance."""
        return self._random.random() < _FAILS[what]

    def fraction(self) -> float:
        """See Chance."""
        return self._random.random()
