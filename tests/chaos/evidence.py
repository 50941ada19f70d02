"""What the checks judge by: the client's log, the providers' ledgers, the database."""

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
    """One request of the client, and what came of it."""

    at: float  #: seconds since the epoch
    key: str
    status: int | None  #: None: the answer was lost
    payment: str | None  #: the id that a 202 named
    pays: bool  #: asked for a payment, not for a follow-up of one
    altered: bool  #: had another body than the key's first request
    refused: bool  #: brought a card number
    approved: bool  #: has a method that the provider takes


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that a provider really moved."""

    provider: str
    kind: str
    key: str | None  #: the provider key of the call
    operation: str | None  #: whose it is, by its key or by what was sent with it
    amount: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Operation:
    """As the database has it."""

    id: str
    kind: str
    provider_key: str  #: the idempotency key of the request that made it
    amount: int  #: that was asked for
    moved: int  #: that we say has moved
    state: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline."""

    seq: int
    type: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Payment:
    """As the database has it; amounts in minor units."""

    id: str
    currency: str
    captured: int
    refunded: int
    version: int
    event_count: int
    operations: Sequence[Operation]
    timeline: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Sight:
    """A payment as it was seen in the database at some moment of the run."""

    payment: str
    version: int
    told: int
    states: Mapping[str, str]  #: by operation


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it. ``leaks`` says where a planted secret was found."""

    exchanges: Sequence[Exchange] = ()
    movements: Sequence[Movement] = ()
    payments: Sequence[Payment] = ()
    sights: Sequence[Sight] = ()
    leaks: Sequence[str] = ()
    searched: int = 0  #: files and collections that were looked through


def exchanges(log: Path, *, good: Sequence[str]) -> list[Exchange]:
    """The client's log; ``good`` are the methods that providers take."""
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


def movements(provider: str, url: str) -> list[Movement]:
    """The ledger of the simulator at ``url``."""
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


def payments(database: Database[dict[str, Any]]) -> list[Payment]:
    """Every payment that is stored."""
    return [_payment(document) for document in database.payments.find()]


def sight(document: Mapping[str, Any]) -> Sight:
    """A payment's document as one sight of it."""
    return Sight(
        payment=document["_id"],
        version=document["version"],
        told=document["event_count"],
        states={one["id"]: one["state"] for one in document["operations"]},
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
                id=one["id"],
                kind=one["kind"],
                provider_key=one["origin"]["idempotency_key"],
                amount=one["amount"],
                moved=one.get("moved", 0),
                state=one["state"],
                due_at=one.get("due_at"),
            )
            for one in document["operations"]
        ],
        timeline=[
            Event(one["seq"], one["type"], _utc(one["at"]), one["data"])
            for one in document["timeline"]
        ],
    )


def _operation(row: Mapping[str, Any]) -> str | None:
    """By the key of the call; where it had none, by what we gave the provider."""
    for text in (row["key"], *row["metadata"].values()):
        if found := _OPERATION.match(text or ""):
            return found[0]
    return None


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
