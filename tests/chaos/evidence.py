"""The evidence for the checks: the client's log, the ledgers and the database."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import requests
from pymongo.database import Database

#: Seconds for a whole ledger, some megabytes.
LEDGER_TIMEOUT: Final = 60.0
_OPERATION: Final = re.compile(r"op_[0-9A-Z]+")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of the client, and its result."""

    at: float  #: seconds since the epoch
    key: str
    status: int | None  #: None: the answer was lost
    payment: str | None  #: the id in a 202
    pays: bool  #: a submission, not a follow-up
    altered: bool  #: another body than the key's first request
    refused: bool  #: with a card number
    approved: bool  #: with a method that the provider accepts


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that a provider moved, by its ledger."""

    provider: str
    kind: str
    key: str | None  #: the provider key of the call
    operation: str | None  #: by its key or its metadata
    amount: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation in the database."""

    id: str
    kind: str
    provider_key: str  #: the idempotency key of the request that made it
    amount: int  #: requested
    moved: int  #: moved, by our books
    state: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a timeline."""

    seq: int
    type: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment in the database; amounts in minor units."""

    id: str
    currency: str
    captured: int
    refunded: int
    version: int
    event_count: int
    operations: Sequence[Operation]
    timeline: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A payment in the database at some moment of the run."""

    payment: str
    version: int
    event_count: int
    states: Mapping[str, str]  #: by operation


@dataclass(frozen=True, slots=True)
class Evidence:
    """All evidence. ``leaks`` has a sentence for each secret found."""

    exchanges: Sequence[Exchange] = ()
    movements: Sequence[Movement] = ()
    payments: Sequence[Payment] = ()
    snapshots: Sequence[Snapshot] = ()
    leaks: Sequence[str] = ()
    searched: int = 0  #: files and collections searched


def read_exchanges(log: Path, *, good: Sequence[str]) -> list[Exchange]:
    """Reads the client's log; providers accept the methods ``good``."""
    with log.open() as lines:
        return [
            Exchange(
                at=line["at"],
                key=line["key"],
                status=line["status"],
                payment=line.get("id"),
                pays=line["pays"],
                altered=line["altered"],
                refused=line["refused"],
                approved=line["body"].get("payment_method") in good,
            )
            for line in map(json.loads, lines)
        ]


def read_movements(provider: str, url: str) -> list[Movement]:
    """Reads the ledger of the simulator at ``url``."""
    answer = requests.get(f"{url}/_ledger", timeout=LEDGER_TIMEOUT)
    answer.raise_for_status()
    return [
        Movement(
            provider=provider,
            kind=row["kind"],
            key=row["key"],
            operation=_operation(row),
            amount=row["amount"],
            currency=row["currency"],
            at=datetime.fromisoformat(row["at"]),
        )
        for row in answer.json()["movements"]
    ]


def read_payments(database: Database[dict[str, Any]]) -> list[Payment]:
    """Reads every stored payment."""
    return [_payment(document) for document in database.payments.find()]


def parse_snapshot(document: Mapping[str, Any]) -> Snapshot:
    """Decodes a document of the change stream."""
    return Snapshot(
        payment=document["_id"],
        version=document["version"],
        event_count=document["event_count"],
        states={
            operation["id"]: operation["state"] for operation in document["operations"]
        },
    )


def _payment(document: Mapping[str, Any]) -> Payment:
    return Payment(
        id=document["_id"],
        currency=document["currency"],
        captured=document["captured"],
        refunded=document["refunded"],
        version=document["version"],
        event_count=document["event_count"],
        operations=[
            Operation(
                id=operation["id"],
                kind=operation["kind"],
                provider_key=operation["origin"]["idempotency_key"],
                amount=operation["amount"],
                moved=operation.get("moved", 0),
                state=operation["state"],
                due_at=operation.get("due_at"),
            )
            for operation in document["operations"]
        ],
        timeline=[
            Event(event["seq"], event["type"], _utc(event["at"]), event["data"])
            for event in document["timeline"]
        ],
    )


def _operation(row: Mapping[str, Any]) -> str | None:
    """The operation's id, from the key of the call or else from the metadata."""
    for text in (row["key"], *row["metadata"].values()):
        if found := _OPERATION.match(text or ""):
            return found[0]
    return None


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
