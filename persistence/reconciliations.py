"""Reports of reconciliations, kept for 90 days, and whose turn it is to make one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from domain.money import Money
from domain.reconciling import (
    Difference,
    Differs,
    Movement,
    Report,
    Standing,
    Sum,
    Way,
)
from domain.submission import Mode, ProviderName
from persistence.codec import Document
from persistence.mongo import answering

#: From one report to the next.
PERIOD: Final = timedelta(days=1)
#: A run that was not heard of for so long is dead: its next slice takes minutes at
#: most. One that failed is made again after as long.
LEASE: Final = timedelta(hours=1)


class Reconciliations:
    """Those of ``mode``. Every method raises StoreUnavailable."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._reports = database.reconciliations
        self._turns = database.reconciliation_turns
        self._mode = mode.value

    def take_turn(self, provider: ProviderName) -> bool:
        """Whether a report is due, and the caller's to make: one of all processes'.

        The first is due a day after somebody asked first.
        """
        turn = self._turn(provider)
        first = {"$ifNull": ["$next_at", _in(PERIOD)]}
        due = {"$expr": {"$lte": ["$next_at", "$$NOW"]}}
        with answering():
            try:
                self._turns.update_one(turn, [{"$set": {"next_at": first}}], True)
            except DuplicateKeyError:  # another process was first
                return False
            taken = self._turns.update_one({**turn, **due}, _next(LEASE))
        return bool(taken.matched_count)

    def keep_turn(self, provider: ProviderName) -> None:
        """Says that the run goes on."""
        with answering():
            self._turns.update_one(self._turn(provider), _next(LEASE))

    def keep(self, report: Report) -> None:
        """Stores a report; the next one is due a day later."""
        with answering():
            self._reports.insert_one(_encode(report))
            self._turns.update_one(self._turn(report.provider), _next(PERIOD), True)

    def last(self, *, listed: bool = True) -> list[Report]:
        """The last report of each provider that has one.

        Without its differences where they shall not be ``listed``.
        """
        found = []
        for provider in ProviderName:
            with answering():
                document = self._reports.find_one(
                    {"mode": self._mode, "provider": provider.value},
                    None if listed else {"differences": 0},
                    sort=[("ended_at", DESCENDING)],
                )
            if document is not None:
                found.append(_decode(document))
        return found

    def _turn(self, provider: ProviderName) -> Document:
        return {"_id": f"{self._mode}:{provider}"}


def _in(wait: timedelta) -> Document:
    """By the server's clock, as all turns are."""
    return {"$add": ["$$NOW", wait // timedelta(milliseconds=1)]}


def _next(wait: timedelta) -> list[Document]:
    return [{"$set": {"next_at": _in(wait)}}]


def _encode(report: Report) -> Document:
    return {
        "_id": report.id,
        "mode": report.mode.value,
        "provider": report.provider.value,
        "since": report.since,
        "until": report.until,
        "ended_at": report.ended_at,
        "compared": report.compared,
        "counts": {kind.value: count for kind, count in report.counts.items()},
        "differences": [
            {
                "differs": one.differs.value,
                "ours": one.ours and _movement(one.ours),
                "theirs": one.theirs and _movement(one.theirs),
            }
            for one in report.differences
        ],
        "sums": [
            {
                "way": one.way.value,
                "currency": one.currency,
                "ours": one.ours,
                "theirs": one.theirs,
                "fees": one.fees,
            }
            for one in report.sums
        ],
    }


def _decode(document: Mapping[str, Any]) -> Report:
    plain = ("since", "until", "ended_at", "compared")
    return Report(
        **{name: document[name] for name in plain},
        id=document["_id"],
        mode=Mode(document["mode"]),
        provider=ProviderName(document["provider"]),
        counts={Differs(kind): count for kind, count in document["counts"].items()},
        differences=tuple(
            Difference(
                Differs(one["differs"]),
                one["ours"] and _as_movement(one["ours"]),
                one["theirs"] and _as_movement(one["theirs"]),
            )
            for one in document.get("differences", ())
        ),
        sums=tuple(Sum(**{**one, "way": Way(one["way"])}) for one in document["sums"]),
    )


def _movement(movement: Movement) -> Document:
    fee = movement.fee
    return {
        "way": movement.way.value,
        "standing": movement.standing.value,
        "amount": movement.money.minor,
        "currency": movement.money.currency,
        "at": movement.at,
        "ref": movement.ref,
        "payment": movement.payment,
        "operation": movement.operation,
        "fee": fee and {"minor": fee.minor, "currency": fee.currency},
        **({"of": movement.of} if movement.of is not None else {}),
    }


def _as_movement(document: Mapping[str, Any]) -> Movement:
    plain = ("at", "ref", "payment", "operation")
    return Movement(
        **{name: document[name] for name in plain},
        way=Way(document["way"]),
        standing=Standing(document["standing"]),
        money=Money(document["amount"], document["currency"]),
        fee=document["fee"] and Money(**document["fee"]),
        of=document.get("of"),
    )
