"""Reports of reconciliations, kept for 90 days, and whose turn it is to make one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from domain.account import Account
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import Differs, Report, Sum, Way
from persistence.codec import Document, read_whose, write_whose
from persistence.differences import read_difference, write_difference
from persistence.document_faults import read_each
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

    def due(self, accounts: Iterable[Account]) -> list[Account]:
        """Those of ``accounts`` whose next report is not known to be for later."""
        turns = {_turn(self._mode, one): one for one in accounts}
        later = {"$expr": {"$gt": ["$next_at", "$$NOW"]}}
        with answering():
            found = self._turns.find({"_id": {"$in": list(turns)}, **later}, {"_id": 1})
            waiting = {one["_id"] for one in found}
        return [one for turn, one in turns.items() if turn not in waiting]

    def take_turn(self, account: Account) -> bool:
        """Whether a report is due, and the caller's to make: one of all processes'.

        The first is due a day after somebody asked first.
        """
        turn = {"_id": _turn(self._mode, account)}
        first = {"$ifNull": ["$next_at", _in(PERIOD)]}
        due = {"$expr": {"$lte": ["$next_at", "$$NOW"]}}
        with answering():
            try:
                self._turns.update_one(turn, [{"$set": {"next_at": first}}], True)
            except DuplicateKeyError:  # another process was first
                return False
            taken = self._turns.update_one({**turn, **due}, _next(LEASE))
        return bool(taken.matched_count)

    def keep_turn(self, account: Account) -> None:
        """Says that the run goes on."""
        self._go_on(account, _next(LEASE))

    def rest(self, account: Account) -> None:
        """Says that there is nothing to compare; a day later it is asked again."""
        self._go_on(account, _next(PERIOD))

    def keep(self, report: Report) -> None:
        """Stores a report; the next one is due a day later."""
        with answering():
            self._reports.insert_one(_encode(report))
        self._go_on(report.account, [*_next(PERIOD), {"$set": {"last": report.id}}])

    def last(self, *, listed: bool = True) -> list[Report]:
        """The last report of each account that has one, our own accounts first.

        Without its differences where they shall not be ``listed``.
        """
        of_mode = {"_id": {"$regex": f"^{self._mode}:"}, "last": {"$exists": True}}
        with answering():
            found = self._turns.find(of_mode, {"last": 1})
            last = {one["_id"]: one["last"] for one in found}
            for own in map(Account.own, ProviderName):
                turn = _turn(self._mode, own)
                last[turn] = last.get(turn) or self._last_unnamed(own)
            reports = self._reports.find(
                {"_id": {"$in": list(last.values())}},
                None if listed else {"differences": 0},
            )
            return sorted(read_each(reports, _decode, self._reports), key=_place)

    def _last_unnamed(self, own: Account) -> str | None:
        """The id of its last report, of before turns had that."""
        found = self._reports.find_one(
            {"mode": self._mode, "provider": own.provider.value, "account": None},
            {"_id": 1},
            sort=[("ended_at", DESCENDING)],
        )
        return str(found["_id"]) if found else None

    def _go_on(self, account: Account, step: list[Document]) -> None:
        with answering():
            turn = {"_id": _turn(self._mode, account)}
            self._turns.update_one(turn, step, upsert=True)


def _turn(mode: str, account: Account) -> str:
    return f"{mode}:{account.id}"


def _place(report: Report) -> tuple[bool, int, str]:
    """Our own accounts as the providers are named, then merchants' by their age."""
    account = report.account
    return (
        not account.is_own,
        list(ProviderName).index(account.provider) if account.is_own else 0,
        account.id,
    )


def _in(wait: timedelta) -> Document:
    """By the server's clock, as all turns are."""
    return {"$add": ["$$NOW", wait // timedelta(milliseconds=1)]}


def _next(wait: timedelta) -> list[Document]:
    return [{"$set": {"next_at": _in(wait)}}]


def _encode(report: Report) -> Document:
    return {
        "_id": report.id,
        "mode": report.mode.value,
        **write_whose(report.account),
        "since": report.since,
        "until": report.until,
        "began_at": report.began_at,
        "ended_at": report.ended_at,
        "compared": report.compared,
        "counts": {kind.value: count for kind, count in report.counts.items()},
        "differences": [write_difference(one) for one in report.differences],
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
        began_at=document.get("began_at", document["ended_at"]),
        mode=Mode(document["mode"]),
        account=read_whose(document),
        counts={Differs(kind): count for kind, count in document["counts"].items()},
        differences=tuple(map(read_difference, document.get("differences", ()))),
        sums=tuple(Sum(**{**one, "way": Way(one["way"])}) for one in document["sums"]),
    )
