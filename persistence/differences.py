"""Reconciliation differences: open until a person closes them or the sides agree."""

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
    DifferenceKind,
    Direction,
    Movement,
    MovementStatus,
    ReconciliationReport,
    UnreadableEntry,
)
from persistence import document_faults
from persistence.codec import Document
from persistence.document_faults import update_independently, write_independently
from persistence.mongo import translating_errors

#: Most open differences in a list.
MAX_LISTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class OpenDifference:
    """A difference that is not closed. Times are UTC."""

    id: str
    account: Account
    difference: Difference
    first_at: datetime  #: end of the first comparison that found it
    last_at: datetime  #: end of the last one


class MongoDifferences:
    """The differences of one mode. Every method raises StoreUnavailable."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._differences = database.reconciliation_differences
        self._mode = mode.value

    def record_report(self, report: ReconciliationReport) -> None:
        """Opens the differences of ``report`` and deletes those that agree now.

        A closed difference stays closed while it is unchanged. Nothing is deleted if
        the report does not list every difference.
        """
        found = {self._difference_id(report, one): one for one in report.differences}
        with translating_errors():
            if found:
                written = write_independently(
                    self._differences,
                    [
                        UpdateOne(
                            {"_id": id}, self._encode_new(report, one), upsert=True
                        )
                        for id, one in found.items()
                    ],
                )
                ids = list(found)
                refused = {ids[place]: code for place, code in written.refused.items()}
                document_faults.report_faults(
                    self._differences, document_faults.DocumentFault.REFUSED, refused
                )
            if report.difference_count == len(report.differences):
                time = {"$gte": report.since, "$lt": report.until}
                self._differences.delete_many(
                    {
                        **self._open_filter(),
                        "account": report.account.id,
                        "at": {"$elemMatch": time},
                        "_id": {"$nin": list(found)},
                    }
                )

    def list_open(self) -> list[OpenDifference]:
        """At most MAX_LISTED open differences, the oldest first."""
        with translating_errors():
            found = self._differences.find(self._open_filter()).sort(
                "first_at", ASCENDING
            )
            return document_faults.decode_readable(
                found.limit(MAX_LISTED), _decode, self._differences
            )

    def close(
        self, ids: Sequence[str], *, by: str, reason: str, now: datetime
    ) -> list[str]:
        """Closes differences and returns the ids of those that were open."""
        closed = {"by": by, "reason": reason, "at": now}
        done = []
        with translating_errors():
            for id in ids:
                count = update_independently(
                    self._differences,
                    [id],
                    self._open_filter(),
                    {"$set": {"closed": closed}, "$unset": {"open": 1}},
                )
                done += [id] * count
        return done

    def count_open(self) -> dict[tuple[str, DifferenceKind], int]:
        """The number of open differences, by account and kind."""
        by = {"account": "$account", "kind": "$difference.kind"}
        with translating_errors():
            found = self._differences.aggregate(
                [
                    {"$match": self._open_filter()},
                    {"$group": {"_id": by, "count": {"$sum": 1}}},
                ]
            )
            return {
                (one["_id"]["account"], DifferenceKind(one["_id"]["kind"])): one[
                    "count"
                ]
                for one in found
                if one["_id"]["kind"] in set(DifferenceKind)
            }

    def _open_filter(self) -> Document:
        return {"mode": self._mode, "open": True}

    def _difference_id(self, report: ReconciliationReport, found: Difference) -> str:
        """The difference's id: the same in every comparison of the movement."""
        movement = f"{self._mode}:{report.account.id}:{found.operation}:{found.ref}"
        return f"dif_{hashlib.sha256(movement.encode()).hexdigest()[:24]}"

    def _encode_new(
        self, report: ReconciliationReport, found: Difference
    ) -> list[Document]:
        written = encode_difference(found)
        is_same = {"$eq": ["$difference", {"$literal": written}]}
        sides = [
            one
            for one in (found.ours, found.theirs, found.unreadable)
            if one is not None
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
        difference=decode_difference(document["difference"]),
        first_at=document["first_at"],
        last_at=document["last_at"],
    )


def encode_difference(found: Difference) -> Document:
    """Encodes a difference. It has ids, amounts and times, and nothing is sealed."""
    return {
        "kind": found.kind.value,
        "ours": found.ours and _encode_movement(found.ours),
        "theirs": found.theirs and _encode_movement(found.theirs),
        **(
            {"unread": asdict(found.unreadable)} if found.unreadable is not None else {}
        ),
    }


def decode_difference(document: Mapping[str, Any]) -> Difference:
    """Decodes a difference."""
    return Difference(
        DifferenceKind(document["kind"]),
        document["ours"] and _decode_movement(document["ours"]),
        document["theirs"] and _decode_movement(document["theirs"]),
        UnreadableEntry(**document["unread"]) if "unread" in document else None,
    )


def _encode_movement(movement: Movement) -> Document:
    fee = movement.fee
    return {
        "direction": movement.direction.value,
        "status": movement.status.value,
        "amount": movement.money.minor,
        "currency": movement.money.currency,
        "at": movement.at,
        "ref": movement.ref,
        "payment": movement.payment,
        "operation": movement.operation,
        "fee": fee and {"minor": fee.minor, "currency": fee.currency},
        **(
            {"charge_ref": movement.charge_ref}
            if movement.charge_ref is not None
            else {}
        ),
    }


def _decode_movement(document: Mapping[str, Any]) -> Movement:
    plain = ("at", "ref", "payment", "operation")
    return Movement(
        **{name: document[name] for name in plain},
        direction=Direction(document["direction"]),
        status=MovementStatus(document["status"]),
        money=Money(document["amount"], document["currency"]),
        fee=document["fee"] and Money(**document["fee"]),
        charge_ref=document.get("charge_ref"),
    )
