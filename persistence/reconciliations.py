"""Reconciliation reports, kept for 90 days, and the turns of accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from domain.account import Account
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import (
    DifferenceKind,
    Direction,
    MovementTotal,
    ReconciliationReport,
)
from persistence.codec import Document, decode_account_fields, encode_account_fields
from persistence.differences import decode_difference, encode_difference
from persistence.document_faults import decode_readable
from persistence.mongo import translating_errors

#: Time from one report to the next.
PERIOD: Final = timedelta(days=1)
#: A run that did not renew its turn for so long is dead: a slice takes minutes at most.
#: A failed run is repeated after the same time.
LEASE: Final = timedelta(hours=1)


class Reconciliations:
    """The reports and turns of one mode. Every method raises StoreUnavailable."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._reports = database.reconciliations
        self._turns = database.reconciliation_turns
        self._mode = mode.value

    def list_due(self, accounts: Iterable[Account]) -> list[Account]:
        """Those of ``accounts`` whose next report is due, or that have no turn yet."""
        turns = {_turn_id(self._mode, one): one for one in accounts}
        later = {"$expr": {"$gt": ["$next_at", "$$NOW"]}}
        with translating_errors():
            found = self._turns.find({"_id": {"$in": list(turns)}, **later}, {"_id": 1})
            waiting = {one["_id"] for one in found}
        return [one for turn, one in turns.items() if turn not in waiting]

    def claim_turn(self, account: Account) -> bool:
        """Whether a report is due and this process is the one to make it.

        The first report is due a day after the first call.
        """
        turn = {"_id": _turn_id(self._mode, account)}
        first = {"$ifNull": ["$next_at", _after(PERIOD)]}
        due = {"$expr": {"$lte": ["$next_at", "$$NOW"]}}
        with translating_errors():
            try:
                self._turns.update_one(turn, [{"$set": {"next_at": first}}], True)
            except DuplicateKeyError:  # another process was first
                return False
            claimed = self._turns.update_one({**turn, **due}, _next_turn(LEASE))
        return bool(claimed.matched_count)

    def renew_turn(self, account: Account) -> None:
        """Prolongs the turn of a running comparison."""
        self._update_turn(account, _next_turn(LEASE))

    def skip_turn(self, account: Account) -> None:
        """Ends a turn without a report; the next turn is a day later."""
        self._update_turn(account, _next_turn(PERIOD))

    def add_report(self, report: ReconciliationReport) -> None:
        """Stores a report; the next one is due a day later."""
        with translating_errors():
            self._reports.insert_one(_encode(report))
        self._update_turn(
            report.account, [*_next_turn(PERIOD), {"$set": {"last": report.id}}]
        )

    def list_last(self, *, listed: bool = True) -> list[ReconciliationReport]:
        """The last report of each account, the deployment's own accounts first.

        The differences are included only if ``listed``.
        """
        of_mode = {"_id": {"$regex": f"^{self._mode}:"}, "last": {"$exists": True}}
        with translating_errors():
            found = self._turns.find(of_mode, {"last": 1})
            last = {one["_id"]: one["last"] for one in found}
            for own in map(Account.own, ProviderName):
                turn = _turn_id(self._mode, own)
                last[turn] = last.get(turn) or self._last_unnamed(own)
            reports = self._reports.find(
                {"_id": {"$in": list(last.values())}},
                None if listed else {"differences": 0},
            )
            return sorted(
                decode_readable(reports, _decode, self._reports), key=_sort_key
            )

    def _last_unnamed(self, own: Account) -> str | None:
        """The id of the last report made before turns named it."""
        found = self._reports.find_one(
            {"mode": self._mode, "provider": own.provider.value, "account": None},
            {"_id": 1},
            sort=[("ended_at", DESCENDING)],
        )
        return str(found["_id"]) if found else None

    def _update_turn(self, account: Account, step: list[Document]) -> None:
        with translating_errors():
            turn = {"_id": _turn_id(self._mode, account)}
            self._turns.update_one(turn, step, upsert=True)


def _turn_id(mode: str, account: Account) -> str:
    return f"{mode}:{account.id}"


def _sort_key(report: ReconciliationReport) -> tuple[bool, int, str]:
    """Orders own accounts by provider, then merchants' accounts by age."""
    account = report.account
    return (
        not account.is_own,
        list(ProviderName).index(account.provider) if account.is_own else 0,
        account.id,
    )


def _after(wait: timedelta) -> Document:
    """The time after ``wait``, by the server's clock."""
    return {"$add": ["$$NOW", wait // timedelta(milliseconds=1)]}


def _next_turn(wait: timedelta) -> list[Document]:
    return [{"$set": {"next_at": _after(wait)}}]


def _encode(report: ReconciliationReport) -> Document:
    return {
        "_id": report.id,
        "mode": report.mode.value,
        **encode_account_fields(report.account),
        "since": report.since,
        "until": report.until,
        "began_at": report.began_at,
        "ended_at": report.ended_at,
        "compared": report.compared,
        "counts": {kind.value: count for kind, count in report.counts.items()},
        "differences": [encode_difference(one) for one in report.differences],
        "totals": [
            {
                "direction": one.direction.value,
                "currency": one.currency,
                "ours": one.ours,
                "theirs": one.theirs,
                "fees": one.fees,
            }
            for one in report.totals
        ],
    }


def _decode(document: Mapping[str, Any]) -> ReconciliationReport:
    plain = ("since", "until", "ended_at", "compared")
    return ReconciliationReport(
        **{name: document[name] for name in plain},
        id=document["_id"],
        began_at=document.get("began_at", document["ended_at"]),
        mode=Mode(document["mode"]),
        account=decode_account_fields(document),
        counts={
            DifferenceKind(kind): count for kind, count in document["counts"].items()
        },
        differences=tuple(map(decode_difference, document.get("differences", ()))),
        totals=tuple(
            MovementTotal(**{**one, "direction": Direction(one["direction"])})
            for one in document["totals"]
        ),
    )
