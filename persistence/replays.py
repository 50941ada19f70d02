"""Replays on MongoDB: one document a set, one small document an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.database import Database

from domain.errors import WriteRefused
from domain.payments.operator_actions import Replay
from domain.payments.states import State
from domain.payments.submission import Mode, ProviderName
from domain.replays import Came, Item, ReplaySet, Run, Stage, Sum
from persistence.codec import Document
from persistence.document_faults import (
    Fault,
    out_of_turn,
    read_each,
    read_one,
    read_page,
    report,
    write_each,
)
from persistence.mongo import answering

#: Items in one insert: some hundred kilobytes.
_CHUNK: Final = 1_000
#: How long a set's turn lasts: its rate is counted by the second.
_TURN: Final = {"$add": ["$$NOW", 1_000]}


class MongoReplays:
    """The Replays of ``mode``."""

    def __init__(self, database: Database[Document], mode: Mode) -> None:
        self._replays = database.replays
        self._items = database.replay_items
        self._mode = mode.value

    def keep(self, replay: ReplaySet, items: Sequence[Item]) -> None:
        """See Replays. The set comes last, so nobody finds a part of one."""
        with answering():
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                documents = [_encode_item(replay, item) for item in chunk]
                written = write_each(self._items, [InsertOne(one) for one in documents])
                if written.refused or written.duplicates:
                    raise WriteRefused  # a set without one of its items is another set
            self._replays.insert_one(_encode(replay))

    def get(self, replay_id: str) -> ReplaySet | None:
        """See Replays."""
        with answering():
            found = self._replays.find_one({"_id": replay_id, "mode": self._mode})
        return None if found is None else read_one(found, _decode, self._replays)

    def move(self, replay: ReplaySet, *, was: Stage) -> bool:
        """See Replays."""
        fields: Document = {
            name: {"$literal": value}
            for name, value in _encode(replay).items()
            if name in ("stage", "run", "canceled_by", "ended_at")
        }
        running = replay.stage is Stage.RUNNING
        fields["next_at"] = "$$NOW" if running else "$$REMOVE"
        with answering():
            result = self._replays.update_one(
                {"_id": replay.id, "stage": was.value}, [{"$set": fields}]
            )
        return bool(result.matched_count)

    def turn(self) -> ReplaySet | None:
        """See Replays. The server's clock counts, and whoever writes first has it."""
        waiting = {
            "next_at": {"$exists": True},
            "$expr": {"$lte": ["$next_at", "$$NOW"]},
            "mode": self._mode,
            "stage": Stage.RUNNING.value,
        }
        with answering():
            found = self._replays.find_one_and_update(
                waiting,
                [{"$set": {"next_at": _TURN}}],
                sort=[("next_at", ASCENDING)],
            )
        taken = [] if found is None else [found]
        return next(iter(read_each(taken, _decode, self._replays)), None)

    def items(
        self, replay_id: str, *, after: int, limit: int, left: bool = False
    ) -> list[Item]:
        """See Replays."""
        wanted: Document = {"replay": replay_id, "number": {"$gt": after}}

        def find(behind: Document) -> list[Document]:
            found = self._items.find({**wanted, **behind})
            return list(found.sort("number", ASCENDING).limit(limit))

        with answering():
            if left:
                # One whose verdict cannot be written keeps none from its turn.
                wanted |= {"came": None, "_id": {"$nin": out_of_turn(self._items)}}
            return read_page(
                find,
                _decode_item,
                self._items,
                limit=limit,
                order=("number", "$gt"),
            )

    def mark(self, replay_id: str, verdicts: Mapping[int, Came]) -> None:
        """See Replays."""
        updates = [
            UpdateOne(
                {"_id": _item_id(replay_id, number), "came": None},
                {"$set": {"came": came.value}},
            )
            for number, came in verdicts.items()
        ]
        if updates:
            with answering():
                written = write_each(self._items, updates)
            ids = [_item_id(replay_id, number) for number in verdicts]
            refused = {ids[place]: code for place, code in written.refused.items()}
            report(self._items, Fault.REFUSED, refused, waits=True)

    def progress(self, replay_id: str) -> Mapping[Came, int]:
        """See Replays. Counted by index alone."""
        counted: list[dict[str, Any]] = [
            {"$match": {"replay": replay_id, "came": {"$in": sorted(Came)}}},
            {"$group": {"_id": "$came", "count": {"$sum": 1}}},
        ]
        with answering():
            rows = list(self._items.aggregate(counted))
        return {Came(row["_id"]): row["count"] for row in rows}


def _encode(replay: ReplaySet) -> Document:
    return {
        "_id": replay.id,
        "mode": replay.mode.value,
        "by": replay.by,
        "created_at": replay.created_at,
        "search": dict(replay.search),
        "sums": [{**asdict(one), "what": one.what.value} for one in replay.sums],
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
        sums=tuple(
            Sum(**{**one, "what": Replay(one["what"])}) for one in document["sums"]
        ),
        stage=Stage(document["stage"]),
        run=run and Run(**run),
        canceled_by=document["canceled_by"],
        ended_at=document["ended_at"],
    )


def _item_id(replay_id: str, number: int) -> str:
    return f"{replay_id}:{number}"


def _encode_item(replay: ReplaySet, item: Item) -> Document:
    return {
        **asdict(item),
        "_id": _item_id(replay.id, item.number),
        "replay": replay.id,
        "at": replay.created_at,
        "state": item.state.value,
        "what": item.what.value,
        "provider": item.provider.value,
        "came": item.came and item.came.value,
    }


def _decode_item(document: Mapping[str, Any]) -> Item:
    plain = ("number", "payment", "operation", "version", "amount", "currency")
    return Item(
        **{name: document[name] for name in (*plain, "merchant")},
        state=State(document["state"]),
        what=Replay(document["what"]),
        provider=ProviderName(document["provider"]),
        came=document["came"] and Came(document["came"]),
    )
