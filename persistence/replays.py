"""Replays on MongoDB: one document per set and one small document per item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.database import Database

from domain.errors import WriteRefused
from domain.payments.operator_actions import ReplayAction
from domain.payments.states import State
from domain.payments.submission import Mode, ProviderName
from domain.replays import (
    ItemOutcome,
    ReplayItem,
    ReplayRun,
    ReplaySet,
    ReplayStage,
    ReplayTotal,
)
from persistence.codec import Document
from persistence.document_faults import (
    DocumentFault,
    decode_or_report,
    decode_readable,
    find_postponed,
    read_readable_page,
    report_faults,
    write_independently,
)
from persistence.mongo import translating_errors

#: Items in one insert: some hundred kilobytes.
_CHUNK: Final = 1_000
#: The next turn of a set is a second later: its rate is per second.
_TURN_TIME: Final = {"$add": ["$$NOW", 1_000]}


class MongoReplayStore:
    """The Replays of one mode."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._replays = database.replays
        self._items = database.replay_items
        self._mode = mode.value

    def add(self, replay: ReplaySet, items: Sequence[ReplayItem]) -> None:
        """Inserts the set last, so that an incomplete set is never found."""
        with translating_errors():
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                documents = [_encode_item(replay, item) for item in chunk]
                written = write_independently(
                    self._items, [InsertOne(one) for one in documents]
                )
                if written.refused or written.duplicates:
                    raise WriteRefused  # a set must have all of its items
            self._replays.insert_one(_encode(replay))

    def get(self, replay_id: str) -> ReplaySet | None:
        with translating_errors():
            found = self._replays.find_one({"_id": replay_id, "mode": self._mode})
        return (
            None if found is None else decode_or_report(found, _decode, self._replays)
        )

    def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
        fields: Document = {
            name: {"$literal": value}
            for name, value in _encode(replay).items()
            if name in ("stage", "run", "canceled_by", "ended_at")
        }
        running = replay.stage is ReplayStage.RUNNING
        fields["next_at"] = "$$NOW" if running else "$$REMOVE"
        with translating_errors():
            result = self._replays.update_one(
                {"_id": replay.id, "stage": was.value}, [{"$set": fields}]
            )
        return bool(result.matched_count)

    def claim_due(self) -> ReplaySet | None:
        """Claims by a conditional write and the server's clock."""
        due = {
            "next_at": {"$exists": True},
            "$expr": {"$lte": ["$next_at", "$$NOW"]},
            "mode": self._mode,
            "stage": ReplayStage.RUNNING.value,
        }
        with translating_errors():
            found = self._replays.find_one_and_update(
                due,
                [{"$set": {"next_at": _TURN_TIME}}],
                sort=[("next_at", ASCENDING)],
            )
        claimed = [] if found is None else [found]
        return next(iter(decode_readable(claimed, _decode, self._replays)), None)

    def list_items(
        self, replay_id: str, *, after: int, limit: int, left: bool = False
    ) -> list[ReplayItem]:
        wanted: Document = {"replay": replay_id, "number": {"$gt": after}}

        def find(after_last: Document) -> list[Document]:
            found = self._items.find({**wanted, **after_last})
            return list(found.sort("number", ASCENDING).limit(limit))

        with translating_errors():
            if left:
                # An item whose outcome cannot be written does not block the others.
                wanted |= {
                    "outcome": None,
                    "_id": {"$nin": find_postponed(self._items)},
                }
            return read_readable_page(
                find,
                _decode_item,
                self._items,
                limit=limit,
                order=("number", "$gt"),
            )

    def record_outcomes(
        self, replay_id: str, verdicts: Mapping[int, ItemOutcome]
    ) -> None:
        updates = [
            UpdateOne(
                {"_id": _item_id(replay_id, number), "outcome": None},
                {"$set": {"outcome": outcome.value}},
            )
            for number, outcome in verdicts.items()
        ]
        if updates:
            with translating_errors():
                written = write_independently(self._items, updates)
            ids = [_item_id(replay_id, number) for number in verdicts]
            refused = {ids[place]: code for place, code in written.refused.items()}
            report_faults(self._items, DocumentFault.REFUSED, refused, postpones=True)

    def count_outcomes(self, replay_id: str) -> Mapping[ItemOutcome, int]:
        """Counts by an index alone."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"replay": replay_id, "outcome": {"$in": sorted(ItemOutcome)}}},
            {"$group": {"_id": "$outcome", "count": {"$sum": 1}}},
        ]
        with translating_errors():
            rows = list(self._items.aggregate(pipeline))
        return {ItemOutcome(row["_id"]): row["count"] for row in rows}


def _encode(replay: ReplaySet) -> Document:
    return {
        "_id": replay.id,
        "mode": replay.mode.value,
        "by": replay.by,
        "created_at": replay.created_at,
        "search": dict(replay.search),
        "totals": [
            {**asdict(one), "action": one.action.value} for one in replay.totals
        ],
        "stage": replay.stage.value,
        "run": replay.run and asdict(replay.run),
        "canceled_by": replay.canceled_by,
        "ended_at": replay.ended_at,
    }


def _decode(document: Mapping[str, Any]) -> ReplaySet:
    run = document["run"]
    return ReplaySet(
        id=document["_id"],
        mode=Mode(document["mode"]),
        by=document["by"],
        created_at=document["created_at"],
        search=document["search"],
        totals=tuple(
            ReplayTotal(**{**one, "action": ReplayAction(one["action"])})
            for one in document["totals"]
        ),
        stage=ReplayStage(document["stage"]),
        run=run and ReplayRun(**run),
        canceled_by=document["canceled_by"],
        ended_at=document["ended_at"],
    )


def _item_id(replay_id: str, number: int) -> str:
    return f"{replay_id}:{number}"


def _encode_item(replay: ReplaySet, item: ReplayItem) -> Document:
    return {
        **asdict(item),
        "_id": _item_id(replay.id, item.number),
        "replay": replay.id,
        "at": replay.created_at,
        "state": item.state.value,
        "action": item.action.value,
        "provider": item.provider.value,
        "outcome": item.outcome and item.outcome.value,
    }


def _decode_item(document: Mapping[str, Any]) -> ReplayItem:
    plain = ("number", "payment", "operation", "version", "amount", "currency")
    return ReplayItem(
        **{name: document[name] for name in (*plain, "merchant")},
        state=State(document["state"]),
        action=ReplayAction(document["action"]),
        provider=ProviderName(document["provider"]),
        outcome=document["outcome"] and ItemOutcome(document["outcome"]),
    )
