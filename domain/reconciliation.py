"""Movements of money by our records and by the provider's, and their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.account import Account
from domain.money import Money
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import STATES_WITH_WORK, State
from domain.payments.submission import Mode
from domain.provider_rules import RULES


class Direction(StrEnum):
    """The direction of a movement of money."""

    COLLECTED = "collected"  #: to the merchant: a charge or a capture
    REFUNDED = "refunded"  #: back to the payer
    WITHDRAWN = "withdrawn"  #: taken by the provider for a dispute or a reversal
    REINSTATED = "reinstated"  #: given back by the provider for a dispute that was won


#: The directions in which the provider moves money by itself, without an operation.
PROVIDER_INITIATED: Final = frozenset({Direction.WITHDRAWN, Direction.REINSTATED})


class MovementStatus(StrEnum):
    """The progress of a movement."""

    MOVED = "moved"  #: the money moved
    UNDER_WAY = "under_way"  #: it waits for the provider, the payer or an operator
    OPEN = "open"  #: ours only: a worker still works on it
    NOT_MOVED = "not_moved"  #: it ended without a movement


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that moved to or from the merchant, or was requested to move."""

    direction: Direction
    status: MovementStatus
    money: Money  #: the amount that moved; else the requested amount
    at: datetime | None  #: when it moved (UTC); None where ours did not move
    ref: str | None  #: the provider's id of the charge, capture, refund or dispute
    #: Our payment's id; a provider's movement has the id that we wrote on its object.
    payment: str | None
    operation: str | None  #: our operation's id, likewise
    fee: Money | None = None  #: the provider's fee, where it gives one
    #: The provider's id of the charge that was refunded or disputed.
    charge_ref: str | None = None

    @property
    def moved(self) -> int:
        """The minor units that moved."""
        return self.money.minor if self.status is MovementStatus.MOVED else 0


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """An entry in a provider's list, or its data of a payment, that cannot be read.

    Its amount is malformed, or its currency or shape is unknown.
    """

    at: datetime  #: when it moved (UTC), else the beginning of the time that was read
    ref: str | None  #: the provider's id of it, where that can be read
    payment: str | None  #: our payment's id, likewise


#: Our movement and the provider's of the same money; None where a side has none.
Pair = tuple[Movement | None, Movement | None]


class DifferenceKind(StrEnum):
    """How the two sides of a movement differ."""

    OURS_ALONE = "ours_alone"  #: it moved by our records; the provider has none
    THEIRS_ALONE = "theirs_alone"  #: the provider has it; our records do not
    STATE = "state"  #: it moved by one side's records only
    CURRENCY = "currency"
    AMOUNT = "amount"
    UNREADABLE = "unreadable"  #: the provider's entry cannot be read


@dataclass(frozen=True, slots=True)
class Difference:
    """One movement on which our records and the provider's differ."""

    kind: DifferenceKind
    ours: Movement | None
    theirs: Movement | None
    unreadable: UnreadableEntry | None = None  #: in place of both

    @property
    def payment(self) -> str | None:
        """Our payment's id, where either side has one."""
        return next((one.payment for one in self._sides if one.payment), None)

    @property
    def operation(self) -> str | None:
        """Our operation's id, where our side has one."""
        return self.ours.operation if self.ours is not None else None

    @property
    def ref(self) -> str | None:
        """The provider's id of it, where either side has one."""
        return next((one.ref for one in reversed(self._sides) if one.ref), None)

    @property
    def _sides(self) -> list[Movement | UnreadableEntry]:
        sides = (self.ours, self.theirs, self.unreadable)
        return [one for one in sides if one is not None]


@dataclass(frozen=True, slots=True)
class MovementTotal:
    """The sums of one direction and currency by both sides, in minor units."""

    direction: Direction
    currency: str
    ours: int
    theirs: int
    fees: int  #: the provider's known fees in this currency


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """The result of one comparison with one account."""

    id: str
    mode: Mode
    account: Account
    since: datetime  #: inclusive, UTC
    until: datetime  #: exclusive, UTC
    began_at: datetime  #: a list that lags lacks movements shortly before this
    ended_at: datetime
    compared: int  #: the number of movements
    counts: Mapping[DifferenceKind, int]  #: all differences, by kind
    differences: tuple[Difference, ...]  #: the listed ones
    totals: tuple[MovementTotal, ...]

    @property
    def may_lack_after(self) -> datetime | None:
        """The time from which the provider's list may be incomplete, if any."""
        lag = RULES[self.account.provider].list_lag
        after = max(self.since, self.began_at - lag)
        return after if lag and after < self.until else None

    @property
    def difference_count(self) -> int:
        """The number of all differences, listed or not."""
        return sum(self.counts.values())


@dataclass(slots=True)
class Totals:
    """The sums of a comparison under way."""

    count: int = 0
    ours: Counter[tuple[Direction, str]] = field(default_factory=Counter)
    theirs: Counter[tuple[Direction, str]] = field(default_factory=Counter)
    fees: Counter[tuple[Direction, str]] = field(default_factory=Counter)

    def add(self, pair: Pair) -> None:
        """Counts both sides of one movement."""
        self.count += 1
        for movement, sums in zip(pair, (self.ours, self.theirs), strict=True):
            if movement is not None and movement.moved:
                sums[movement.direction, movement.money.currency] += movement.moved
        theirs = pair[1]
        if theirs is not None and theirs.fee is not None and theirs.fee.minor:
            self.fees[theirs.direction, theirs.fee.currency] += theirs.fee.minor

    @property
    def by_direction(self) -> tuple[MovementTotal, ...]:
        """The sums by currency and direction."""
        keys = {*self.ours, *self.theirs, *self.fees}
        return tuple(
            MovementTotal(*key, self.ours[key], self.theirs[key], self.fees[key])
            for key in sorted(keys, key=lambda key: (key[1], key[0]))
        )


_DIRECTIONS: Final = {
    Kind.CHARGE: Direction.COLLECTED,
    Kind.CAPTURE: Direction.COLLECTED,
    Kind.REFUND: Direction.REFUNDED,
}


def list_movements(payment: Payment) -> list[Movement]:
    """The movements of ``payment`` by our records; a hold moves nothing."""
    return [
        _build_movement(payment, one, _DIRECTIONS[one.kind])
        for one in payment.operations
        if one.kind in _DIRECTIONS
    ]


def is_withdrawal(payment: Payment, theirs: Movement) -> bool:
    """Whether ``theirs`` is the withdrawal of a known dispute, shown as a refund.

    Some providers list it among the refunds, without an operation of ours.
    """
    refunds = {one.id for one in payment.operations if one.kind is Kind.REFUND}
    return (
        theirs.direction is Direction.REFUNDED
        and theirs.operation not in refunds
        and any(
            one.ref == theirs.charge_ref
            and one.money.currency == theirs.money.currency
            and one.withdrawn == theirs.money.minor
            for one in payment.disputes
        )
    )


def match_movements(ours: Iterable[Movement], theirs: Iterable[Movement]) -> list[Pair]:
    """Each movement of either side once, with its counterpart where it has one.

    Movements match by the provider's id. Several captures may share one id; they match
    by the operation on the provider's movement, or by the amount. A movement of ours
    without an id matches by the operation, and then any movement of its direction: a
    captured charge may name the authorization.
    """
    our_rest, their_rest, pairs = list(ours), list(theirs), list[Pair]()
    for is_same in _MATCH_RULES:
        for their in tuple(their_rest):
            our = next(
                (
                    one
                    for one in our_rest
                    if one.direction is their.direction and is_same(one, their)
                ),
                None,
            )
            if our is not None:
                our_rest.remove(our)
                their_rest.remove(their)
                pairs.append((our, their))
    return [
        *pairs,
        *((one, None) for one in our_rest),
        *((None, one) for one in their_rest),
    ]


def compare_pair(pair: Pair) -> Difference | None:
    """The difference between the sides of a movement, or None where they agree.

    An open movement of ours does not differ yet. A movement that did not happen needs
    no counterpart.
    """
    ours, theirs = pair
    kind = None
    if ours is None or theirs is None:
        if ours is not None and ours.status is MovementStatus.MOVED:
            kind = DifferenceKind.OURS_ALONE
        elif theirs is not None and theirs.status is not MovementStatus.NOT_MOVED:
            kind = DifferenceKind.THEIRS_ALONE
    elif ours.status is MovementStatus.OPEN:
        return None
    elif ours.status is not theirs.status:
        kind = DifferenceKind.STATE
    elif ours.status is not MovementStatus.NOT_MOVED and ours.money != theirs.money:
        same = ours.money.currency == theirs.money.currency
        kind = DifferenceKind.AMOUNT if same else DifferenceKind.CURRENCY
    return None if kind is None else Difference(kind, ours, theirs)


def find_differences(pairs: Sequence[Pair]) -> list[Difference]:
    """The differences of ``pairs``."""
    return [found for pair in pairs if (found := compare_pair(pair)) is not None]


def _has_same_ref(ours: Movement, theirs: Movement) -> bool:
    return ours.ref is not None and ours.ref == theirs.ref


#: The rules of ``match_movements``; an earlier rule comes first.
_MATCH_RULES: Final[Sequence[Callable[[Movement, Movement], bool]]] = (
    lambda ours, theirs: _has_same_ref(ours, theirs)
    and ours.operation == theirs.operation,
    lambda ours, theirs: ours.ref is None and ours.operation == theirs.operation,
    lambda ours, theirs: _has_same_ref(ours, theirs) and ours.money == theirs.money,
    lambda ours, theirs: _has_same_ref(ours, theirs),
    lambda ours, theirs: ours.ref is None
    and ours.status is not MovementStatus.NOT_MOVED,
)


def _build_movement(
    payment: Payment, operation: Operation, direction: Direction
) -> Movement:
    status = _movement_status(operation.state)
    moved = status is MovementStatus.MOVED
    minor = operation.moved if moved else operation.amount
    return Movement(
        direction=direction,
        status=status,
        money=Money(minor, payment.submission.amount.currency),
        at=operation.moved_at if moved else None,
        ref=operation.refs.get(_ref_name(payment, direction)),
        payment=payment.id,
        operation=operation.id,
    )


def _ref_name(payment: Payment, direction: Direction) -> str:
    """The name of a movement's object among an operation's refs."""
    if direction is Direction.REFUNDED:
        return "refund"
    return RULES[payment.provider].charge_ref


def _movement_status(state: State) -> MovementStatus:
    if state in STATES_WITH_WORK:
        return MovementStatus.OPEN
    return _STATUSES.get(state, MovementStatus.NOT_MOVED)


_STATUSES: Final = {
    State.SUCCEEDED: MovementStatus.MOVED,
    State.PENDING: MovementStatus.UNDER_WAY,
    State.REQUIRES_ACTION: MovementStatus.UNDER_WAY,
    State.REVIEW: MovementStatus.UNDER_WAY,
}
