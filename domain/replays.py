"""A replay as an operator asks for it: a search, the set it froze, and its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.conflict_reasons import ConflictReason
from domain.errors import Conflict
from domain.payments.operation import Operation
from domain.payments.operator_actions import ReplayAction, decide_replay
from domain.payments.payment import Payment
from domain.payments.states import STUCK, State
from domain.payments.submission import Mode, ProviderName
from domain.timestamps import format_rfc3339

#: Operations in one set: a night's outage fits, and a person can still judge the sums.
MAX_ITEMS: Final = 10_000
#: Items a second: what a provider that has just come back takes beside the day's work;
#: and the most that a beat carries out without being late for its other work.
DEFAULT_RATE: Final = 10
MAX_RATE: Final = 50


@dataclass(frozen=True, slots=True)
class Search:
    """Which operations to find, of all merchants; every given field must match."""

    state: State | None = None  #: None: those that wait for a person
    provider: ProviderName | None = None
    error: str | None = None  #: the code of what went wrong last
    merchant: str | None = None
    created_from: datetime | None = None  #: the payment's time; inclusive, UTC
    created_before: datetime | None = None  #: exclusive, UTC
    amount_from: int | None = None  #: the operation's minor units; inclusive
    amount_to: int | None = None  #: inclusive
    ids: tuple[str, ...] = ()  #: payments; none: any

    @property
    def states(self) -> frozenset[State]:
        """The states that match."""
        return STUCK if self.state is None else frozenset({self.state})

    def matching(self, payment: Payment) -> list[Operation]:
        """The operations of ``payment``, which matches, that match as well."""
        return [
            one
            for one in payment.operations
            if one.state in self.states
            and self.error in (None, one.error)
            and (self.amount_from is None or one.amount >= self.amount_from)
            and (self.amount_to is None or one.amount <= self.amount_to)
        ]

    @property
    def given_fields(self) -> dict[str, str]:
        """The fields that were given, as texts."""
        given: dict[str, object] = {
            "state": self.state,
            "provider": self.provider,
            "error": self.error,
            "merchant": self.merchant,
            "created_from": self.created_from and format_rfc3339(self.created_from),
            "created_before": self.created_before
            and format_rfc3339(self.created_before),
            "amount_from": self.amount_from,
            "amount_to": self.amount_to,
            "ids": len(self.ids) or None,
        }
        return {name: str(one) for name, one in given.items() if one is not None}


class ItemOutcome(StrEnum):
    """What came of one item of a run."""

    REPLAYED = "replayed"  #: under way again; the payment's timeline tells the rest
    MOVED_ON = "moved_on"  #: the payment is not as it was frozen; left alone
    REFUSED = "refused"  #: might move money a second time; left alone
    NOTHING = "nothing"  #: work was owed on it already; left alone


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One operation of a set, as it was when the set was frozen."""

    number: int  #: from 1; those of one payment follow each other
    payment: str
    operation: str
    version: int  #: the payment's
    state: State
    action: ReplayAction  #: what a replay would have done
    amount: int  #: minor units
    currency: str
    merchant: str
    provider: ProviderName
    outcome: ItemOutcome | None = None  #: None: not reached yet


@dataclass(frozen=True, slots=True)
class ReplayTotal:
    """Items of which the same would happen, in one currency."""

    action: ReplayAction
    currency: str
    count: int
    amount: int  #: minor units


class ReplayStage(StrEnum):
    """How far a set has come."""

    PREVIEWED = "previewed"  #: frozen; nothing happens to it
    RUNNING = "running"  #: being carried out
    CANCELED = "canceled"  #: stopped; a run goes on with what is left
    DONE = "done"  #: every item has its verdict


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """By whom a set was set going, why and how fast."""

    by: str  #: the API key's id
    reason: str
    rate: int  #: items a second, at most
    at: datetime


@dataclass(frozen=True, slots=True)
class ReplaySet:
    """A frozen set of operations."""

    id: str
    mode: Mode
    by: str  #: who froze it: the API key's id
    created_at: datetime
    search: Mapping[str, str]  #: what was asked for
    totals: tuple[ReplayTotal, ...]
    stage: ReplayStage = ReplayStage.PREVIEWED
    run: ReplayRun | None = None  #: the last one
    canceled_by: str | None = None  #: the API key's id
    ended_at: datetime | None = None  #: canceled or done

    @property
    def count(self) -> int:
        """How many items it has."""
        return sum(one.count for one in self.totals)

    def start(self, run: ReplayRun) -> ReplaySet:
        """The set under way. Raises Conflict where it has been carried out."""
        if self.stage is ReplayStage.DONE:
            raise Conflict(
                ConflictReason.ALREADY_DONE, "every item of it has been carried out"
            )
        return replace(
            self, stage=ReplayStage.RUNNING, run=run, canceled_by=None, ended_at=None
        )

    def cancel(self, by: str, *, now: datetime) -> ReplaySet:
        """The set, of which nothing more is carried out. Raises Conflict."""
        if self.stage is ReplayStage.DONE:
            raise Conflict(
                ConflictReason.ALREADY_DONE, "every item of it has been carried out"
            )
        return replace(self, stage=ReplayStage.CANCELED, canceled_by=by, ended_at=now)

    def finish(self, *, now: datetime) -> ReplaySet:
        """The set, every item of which has its verdict."""
        return replace(self, stage=ReplayStage.DONE, ended_at=now)


def freeze(
    payments: Iterable[Payment], search: Search, *, now: datetime
) -> list[ReplayItem]:
    """What a replay of all that ``search`` picks would do now, one after the other."""
    picked = [(one, found) for one in payments for found in search.matching(one)]
    return [
        ReplayItem(
            number=number,
            payment=payment.id,
            operation=operation.id,
            version=payment.version,
            state=operation.state,
            action=decide_replay(payment, operation, now=now),
            amount=operation.amount,
            currency=payment.submission.amount.currency,
            merchant=payment.merchant,
            provider=payment.provider,
        )
        for number, (payment, operation) in enumerate(picked, 1)
    ]


def summarize(items: Sequence[ReplayItem]) -> tuple[ReplayTotal, ...]:
    """``items`` by what would happen and by currency."""
    counts, amounts = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for item in items:
        counts[item.action, item.currency] += 1
        amounts[item.action, item.currency] += item.amount
    return tuple(
        ReplayTotal(ReplayAction(what), currency, count, amounts[what, currency])
        for (what, currency), count in sorted(counts.items())
    )
