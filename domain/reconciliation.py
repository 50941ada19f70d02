"""What moved, as a provider says it and as we say it, and how the two differ."""

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
    """Which way money went."""

    COLLECTED = "collected"  #: to the merchant: a charge, or a capture
    REFUNDED = "refunded"  #: back to the payer
    WITHDRAWN = "withdrawn"  #: taken by the provider, for a dispute or a reversal
    REINSTATED = "reinstated"  #: given back by it, for a dispute that was won


#: Which ways the provider moves money by itself, beside all operations.
PROVIDER_INITIATED: Final = frozenset({Direction.WITHDRAWN, Direction.REINSTATED})


class MovementStatus(StrEnum):
    """How far a movement has come."""

    MOVED = "moved"  #: the money is there
    UNDER_WAY = "under_way"  #: the provider, the payer or a person is not done with it
    OPEN = "open"  #: ours only: work is owed on it, so we do not say yet
    NOT_MOVED = "not_moved"  #: it came to nothing


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that moved to or from the merchant, or was to."""

    direction: Direction
    status: MovementStatus
    money: Money  #: what moved; where nothing did, what was to
    at: datetime | None  #: when it moved (UTC); None where ours did not
    ref: str | None  #: the provider's id of the charge, capture, refund or dispute
    payment: str | None  #: ours; of a provider's, as we wrote it on its object
    operation: str | None  #: likewise
    fee: Money | None = None  #: what the provider kept of it, where it says so
    charge_ref: str | None = (
        None  #: the provider's id of the charge that it took from, or gave
    )

    @property
    def moved(self) -> int:
        """Minor units."""
        return self.money.minor if self.status is MovementStatus.MOVED else 0


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """A line in a provider's books, or all that it has of a payment, that cannot be
    read: an amount that is none, a currency or a shape that we do not know."""

    at: datetime  #: when it moved (UTC), or when the time that was read begins
    ref: str | None  #: the provider's id of it, where that can be read
    payment: str | None  #: ours, likewise


#: Ours and theirs of one movement; None: the side does not have it.
Pair = tuple[Movement | None, Movement | None]


class DifferenceKind(StrEnum):
    """How the two sides of a movement differ."""

    OURS_ALONE = "ours_alone"  #: we say that it moved, the provider has none
    THEIRS_ALONE = "theirs_alone"  #: the provider has it, we do not know it
    STATE = "state"  #: it moved for one side only
    CURRENCY = "currency"
    AMOUNT = "amount"
    UNREADABLE = "unreadable"  #: the provider has something that we cannot read


@dataclass(frozen=True, slots=True)
class Difference:
    """One movement of which the provider says something else than we do."""

    kind: DifferenceKind
    ours: Movement | None
    theirs: Movement | None
    unreadable: UnreadableEntry | None = (
        None  #: what the provider has, where it cannot be read
    )

    @property
    def payment(self) -> str | None:
        """Our payment, where either side names one."""
        return next((one.payment for one in self._sides if one.payment), None)

    @property
    def operation(self) -> str | None:
        """Our operation, where we have one."""
        return self.ours.operation if self.ours is not None else None

    @property
    def ref(self) -> str | None:
        """The provider's id of it, where either side names one."""
        return next((one.ref for one in reversed(self._sides) if one.ref), None)

    @property
    def _sides(self) -> list[Movement | UnreadableEntry]:
        sides = (self.ours, self.theirs, self.unreadable)
        return [one for one in sides if one is not None]


@dataclass(frozen=True, slots=True)
class MovementTotal:
    """What moved one way in one currency, by both sides. Minor units."""

    direction: Direction
    currency: str
    ours: int
    theirs: int
    fees: int  #: of the provider, as far as it says them; in this currency


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """What one comparison with one account came to."""

    id: str
    mode: Mode
    account: Account
    since: datetime  #: inclusive, UTC
    until: datetime  #: exclusive, UTC
    began_at: datetime  #: of the reading; a list that lags lacks what moved just before
    ended_at: datetime
    compared: int  #: movements
    counts: Mapping[DifferenceKind, int]  #: of all differences
    differences: tuple[Difference, ...]  #: the first of them
    totals: tuple[MovementTotal, ...]

    @property
    def may_lack_after(self) -> datetime | None:
        """The time from which the provider's list may not be whole yet, if any."""
        lag = RULES[self.account.provider].list_lag
        after = max(self.since, self.began_at - lag)
        return after if lag and after < self.until else None

    @property
    def difference_count(self) -> int:
        """How many movements differ, those that are not listed included."""
        return sum(self.counts.values())


@dataclass(slots=True)
class Totals:
    """Sums of pairs while they are compared."""

    count: int = 0
    ours: Counter[tuple[Direction, str]] = field(default_factory=Counter)
    theirs: Counter[tuple[Direction, str]] = field(default_factory=Counter)
    fees: Counter[tuple[Direction, str]] = field(default_factory=Counter)

    def add(self, pair: Pair) -> None:
        """Counts both sides of one movement."""
        self.count += 1
        for one, sums in zip(pair, (self.ours, self.theirs), strict=True):
            if one is not None and one.moved:
                sums[one.direction, one.money.currency] += one.moved
        theirs = pair[1]
        if theirs is not None and theirs.fee is not None and theirs.fee.minor:
            self.fees[theirs.direction, theirs.fee.currency] += theirs.fee.minor

    @property
    def by_direction(self) -> tuple[MovementTotal, ...]:
        """What was counted, by currency and way."""
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
    """What we say that moved, or was to, by ``payment``; a hold moves nothing."""
    return [
        _build_movement(payment, one, _DIRECTIONS[one.kind])
        for one in payment.operations
        if one.kind in _DIRECTIONS
    ]


def is_withdrawal(payment: Payment, theirs: Movement) -> bool:
    """Whether ``theirs`` is what a dispute that we know took back by a refund.

    A provider may show it among the refunds, and names no operation of ours on it.
    """
    asked = {one.id for one in payment.operations if one.kind is Kind.REFUND}
    return (
        theirs.direction is Direction.REFUNDED
        and theirs.operation not in asked
        and any(
            one.ref == theirs.charge_ref
            and one.money.currency == theirs.money.currency
            and one.withdrawn == theirs.money.minor
            for one in payment.disputes
        )
    )


def match_movements(ours: Iterable[Movement], theirs: Iterable[Movement]) -> list[Pair]:
    """Each movement of either side once, with its counterpart where it has one.

    By the provider's id, which several captures may share: of those by the operation
    that theirs names, or by the amount. Where ours has no id yet, by the operation; and
    then any that goes the same way and may be it, for a captured charge may name the
    authorization.
    """
    left, alone, pairs = list(ours), list(theirs), list[Pair]()
    for is_same in _RULES:
        for one in tuple(alone):
            mine = next(
                (
                    each
                    for each in left
                    if each.direction is one.direction and is_same(each, one)
                ),
                None,
            )
            if mine is not None:
                left.remove(mine)
                alone.remove(one)
                pairs.append((mine, one))
    return [*pairs, *((one, None) for one in left), *((None, one) for one in alone)]


def compare_pair(pair: Pair) -> Difference | None:
    """How the sides of a movement differ, or None where they agree.

    What we are at is no difference yet, and what never moved needs no counterpart.
    """
    ours, theirs = pair
    differs = None
    if ours is None or theirs is None:
        if ours is not None and ours.status is MovementStatus.MOVED:
            differs = DifferenceKind.OURS_ALONE
        elif theirs is not None and theirs.status is not MovementStatus.NOT_MOVED:
            differs = DifferenceKind.THEIRS_ALONE
    elif ours.status is MovementStatus.OPEN:
        return None
    elif ours.status is not theirs.status:
        differs = DifferenceKind.STATE
    elif ours.status is not MovementStatus.NOT_MOVED and ours.money != theirs.money:
        same = ours.money.currency == theirs.money.currency
        differs = DifferenceKind.AMOUNT if same else DifferenceKind.CURRENCY
    return None if differs is None else Difference(differs, ours, theirs)


def find_differences(pairs: Sequence[Pair]) -> list[Difference]:
    """Those of ``pairs`` whose sides differ."""
    return [found for pair in pairs if (found := compare_pair(pair)) is not None]


def _is_same_movement(ours: Movement, theirs: Movement) -> bool:
    return ours.ref is not None and ours.ref == theirs.ref


_RULES: Final[Sequence[Callable[[Movement, Movement], bool]]] = (
    lambda ours, theirs: _is_same_movement(ours, theirs)
    and ours.operation == theirs.operation,
    lambda ours, theirs: ours.ref is None and ours.operation == theirs.operation,
    lambda ours, theirs: _is_same_movement(ours, theirs) and ours.money == theirs.money,
    lambda ours, theirs: _is_same_movement(ours, theirs),
    lambda ours, theirs: ours.ref is None
    and ours.status is not MovementStatus.NOT_MOVED,
)


def _build_movement(
    payment: Payment, operation: Operation, direction: Direction
) -> Movement:
    standing = _movement_status(operation.state)
    moved = standing is MovementStatus.MOVED
    minor = operation.moved if moved else operation.amount
    return Movement(
        direction=direction,
        status=standing,
        money=Money(minor, payment.submission.amount.currency),
        at=operation.moved_at if moved else None,
        ref=operation.refs.get(_ref_of(payment, direction)),
        payment=payment.id,
        operation=operation.id,
    )


def _ref_of(payment: Payment, way: Direction) -> str:
    """The name of the object of a movement, among an operation's refs."""
    return "refund" if way is Direction.REFUNDED else RULES[payment.provider].charge_ref


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
