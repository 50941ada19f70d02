"""Replays by operators: the search, the frozen set of operations, and its run."""

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

#: Operations in one set: enough for a night's outage, and few enough to review.
MAX_ITEMS: Final = 10_000
#: Items a second. The default leaves a provider that has just come back room for new
#: payments; the maximum is the most that a beat carries out in time.
DEFAULT_RATE: Final = 10
MAX_RATE: Final = 50


@dataclass(frozen=True, slots=True)
class Search:
    """A search for operations of all merchants; every given field must match."""

    state: State | None = None  #: None: those that wait for an operator
    provider: ProviderName | None = None
    error: str | None = None  #: the code of the last error
    merchant: str | None = None
    created_from: datetime | None = None  #: the payment's time; inclusive, UTC
    created_before: datetime | None = None  #: exclusive, UTC
    amount_from: int | None = None  #: the operation's minor units; inclusive
    amount_to: int | None = None  #: inclusive
    ids: tuple[str, ...] = ()  #: payments; empty: any

    @property
    def states(self) -> frozenset[State]:
        """The states that match."""
        return STUCK if self.state is None else frozenset({self.state})

    def matching(self, payment: Payment) -> list[Operation]:
        """The matching operations of ``payment``, which matches itself."""
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
        return {name: str(value) for name, value in given.items() if value is not None}


class ItemOutcome(StrEnum):
    """The outcome of one item of a run."""

    REPLAYED = "replayed"  #: under way again; see the payment's timeline
    MOVED_ON = "moved_on"  #: the payment changed after the freeze; not replayed
    REFUSED = "refused"  #: it might move money a second time; not replayed
    NOTHING = "nothing"  #: it was under way already; not replayed


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One operation of a set, as it was when the set was frozen."""

    number: int  #: from 1; those of one payment follow each other
    payment: str
    operation: str
    version: int  #: the payment's
    state: State
    action: ReplayAction  #: the effect of a replay at that time
    amount: int  #: minor units
    currency: str
    merchant: str
    provider: ProviderName
    outcome: ItemOutcome | None = None  #: None: not reached yet


@dataclass(frozen=True, slots=True)
class ReplayTotal:
    """The sum of the items with one action and one currency."""

    action: ReplayAction
    currency: str
    count: int
    amount: int  #: minor units


class ReplayStage(StrEnum):
    """The progress of a set."""

    PREVIEWED = "previewed"  #: frozen, not started
    RUNNING = "running"  #: being carried out
    CANCELED = "canceled"  #: stopped; a new run carries out the remaining items
    DONE = "done"  #: every item has its outcome


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """The start of a run: its operator, reason and rate."""

    by: str  #: the API key's id
    reason: str
    rate: int  #: items a second, at most
    at: datetime


@dataclass(frozen=True, slots=True)
class ReplaySet:
    """A frozen set of operations."""

    id: str
    mode: Mode
    by: str  #: the API key's id of the operator that froze it
    created_at: datetime
    search: Mapping[str, str]  #: the given fields of the search
    totals: tuple[ReplayTotal, ...]
    stage: ReplayStage = ReplayStage.PREVIEWED
    run: ReplayRun | None = None  #: the last run
    canceled_by: str | None = None  #: the API key's id
    ended_at: datetime | None = None  #: canceled or done

    @property
    def count(self) -> int:
        """The number of its items."""
        return sum(one.count for one in self.totals)

    def start(self, run: ReplayRun) -> ReplaySet:
        """The set as running. Raises Conflict where it has been carried out."""
        if self.stage is ReplayStage.DONE:
            raise Conflict(
                ConflictReason.ALREADY_DONE, "every item has been carried out"
            )
        return replace(
            self, stage=ReplayStage.RUNNING, run=run, canceled_by=None, ended_at=None
        )

    def cancel(self, by: str, *, now: datetime) -> ReplaySet:
        """The set as canceled. Raises Conflict where it has been carried out."""
        if self.stage is ReplayStage.DONE:
            raise Conflict(
                ConflictReason.ALREADY_DONE, "every item has been carried out"
            )
        return replace(self, stage=ReplayStage.CANCELED, canceled_by=by, ended_at=now)

    def finish(self, *, now: datetime) -> ReplaySet:
        """The set as done."""
        return replace(self, stage=ReplayStage.DONE, ended_at=now)


def freeze(
    payments: Iterable[Payment], search: Search, *, now: datetime
) -> list[ReplayItem]:
    """The items of the matching operations, with the effect of a replay now."""
    matches = [
        (payment, operation)
        for payment in payments
        for operation in search.matching(payment)
    ]
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
        for number, (payment, operation) in enumerate(matches, 1)
    ]


def summarize(items: Sequence[ReplayItem]) -> tuple[ReplayTotal, ...]:
    """The totals of ``items`` by action and currency."""
    counts, amounts = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for item in items:
        counts[item.action, item.currency] += 1
        amounts[item.action, item.currency] += item.amount
    return tuple(
        ReplayTotal(ReplayAction(action), currency, count, amounts[action, currency])
        for (action, currency), count in sorted(counts.items())
    )
