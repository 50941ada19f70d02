"""Differences that a person has to see to: open until one has, or the books agree."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, UpdateOne
from pymongo.database import Database

from domain.account import Account
from domain.money import Money
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import (
    Difference,
    Differs,
    Movement,
    Report,
    Standing,
    Unread,
    Way,
)
from persistence import document_faults
from persistence.codec import Document
from persistence.document_faults import update_each, write_each
from persistence.mongo import answering

#: Open ones that are shown at once, the oldest first.
MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class OpenDifference:
    """A difference that nobody has closed. Times are UTC."""

    id: str
    account: Account
    difference: Difference
    first_at: datetime  #: a comparison found it first
    last_at: datetime  #: and last


class Differences:
    """Those of ``mode``. Every method raises StoreUnavailable."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._differences = database.reconciliation_differences
        self._mode = mode.value

    def take(self, report: Report) -> None:
        """Opens what ``report`` has found, and forgets what agrees by now.

        What a person has closed stays so while it is as it was then. A report that
        does not list all that differs tells nothing of what agrees.
        """
        found = {self._id(report, one): one for one in report.differences}
        with answering():
            if found:
                written = write_each(
                    self._differences,
                    [
                        UpdateOne({"_id": id}, self._opened(report, one), upsert=True)
                        for id, one in found.items()
                    ],
                )
                ids = list(found)
                refused = {ids[place]: code for place, code in written.refused.items()}
                document_faults.report(
                    self._differences, document_faults.Fault.REFUSED, refused
                )
            if report.differing == len(report.differences):
                time = {"$gte": report.since, "$lt": report.until}
                self._differences.delete_many(
                    {
                        **self._open(),
                        "account": report.account.id,
                        "at": {"$elemMatch": time},
                        "_id": {"$nin": list(found)},
                    }
                )

    def open(self) -> list[OpenDifference]:
        """The oldest first, MOST at most."""
        with answering():
            found = self._differences.find(self._open()).sort("first_at", ASCENDING)
            return document_faults.read_each(
                found.limit(MOST), _decode, self._differences
            )

    def close(
        self, ids: Sequence[str], *, by: str, reason: str, now: datetime
    ) -> list[str]:
        """Says that a person has seen to them; the ids of those that were open."""
        closed = {"by": by, "reason": reason, "at": now}
        done = []
        with answering():
            for id in ids:
                count = update_each(
                    self._differences,
                    [id],
                    self._open(),
                    {"$set": {"closed": closed}, "$unset": {"open": 1}},
                )
                done += [id] * count
        return done

    def counts(self) -> dict[tuple[str, Differs], int]:
        """How many are open, by account and by how they differ."""
        by = {"account": "$account", "differs": "$difference.differs"}
        with answering():
            found = self._differences.aggregate(
                [
                    {"$match": self._open()},
                    {"$group": {"_id": by, "count": {"$sum": 1}}},
                ]
            )
            return {
                (one["_id"]["account"], Differs(one["_id"]["differs"])): one["count"]
                for one in found
                if one["_id"]["differs"] in set(Differs)
            }

    def _open(self) -> Document:
        return {"mode": self._mode, "open": True}

    def _id(self, report: Report, found: Difference) -> str:
        """The same of the same movement, whenever it is compared."""
        named = f"{self._mode}:{report.account.id}:{found.operation}:{found.ref}"
        return f"dif_{hashlib.sha256(named.encode()).hexdigest()[:24]}"

    def _opened(self, report: Report, found: Difference) -> list[Document]:
        written = write_difference(found)
        is_same = {"$eq": ["$difference", {"$literal": written}]}
        sides = [
            one for one in (found.ours, found.theirs, found.unread) if one is not None
        ]
        step: Document = {
            "mode": self._mode,
            "account": report.account.id,
            "provider": report.account.provider.value,
            "difference": {"$literal": written},
            "at": [one.at for one in sides if one.at is not None],
            "first_at": {"$ifNull": ["$first_at", report.ended_at]},
            "last_at": report.ended_at,
            "open": {"$cond": [is_same, "$open", True]},
            "closed": {"$cond": [is_same, "$closed", "$$REMOVE"]},
        }
        return [{"$set": step}]


def _decode(document: Mapping[str, Any]) -> OpenDifference:
    return OpenDifference(
        id=document["_id"],
        account=Account(document["account"], ProviderName(document["provider"])),
        difference=read_difference(document["difference"]),
        first_at=document["first_at"],
        last_at=document["last_at"],
    )


def write_difference(found: Difference) -> Document:
    """A difference, in the clear: ids, amounts and times."""
    return {
        "differs": found.differs.value,
        "ours": found.ours and _movement(found.ours),
        "theirs": found.theirs and _movement(found.theirs),
        **({"unread": asdict(found.unread)} if found.unread is not None else {}),
    }


def read_difference(document: Mapping[str, Any]) -> Difference:
    """What ``write_difference`` wrote."""
    return Difference(
        Differs(document["differs"]),
        document["ours"] and _as_movement(document["ours"]),
        document["theirs"] and _as_movement(document["theirs"]),
        Unread(**document["unread"]) if "unread" in document else None,
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
