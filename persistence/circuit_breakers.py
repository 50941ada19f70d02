"""Breakers on MongoDB: one document a gate, moved by conditional writes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pymongo
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from domain.circuit_breaker import CHANGES, PROBE, Change, Gate, Position, Why, rest
from domain.payments.submission import ProviderName
from persistence.codec import Document
from persistence.mongo import answering

#: Seconds that a worker waits for the gates before it goes on with what it knows.
READ_TIMEOUT: Final = 1.0

_OPEN: Final = Position.OPEN.value
_FIELDS: Final = (
    "position why reason by since probe_at probe failed tried changes".split()
)
#: What is read, and how long a probe is off by the server's clock, never a worker's.
_SEEN: Final[Document] = {
    **dict.fromkeys(_FIELDS, 1),
    "probe_in": {"$subtract": ["$probe_at", "$$NOW"]},
}


class MongoBreakers:
    """See Breakers. A gate that never moved has no document."""

    def __init__(self, database: Database[Document]) -> None:
        self._gates = database.gates

    def gates(self) -> Mapping[str, Gate]:
        """See Breakers."""
        with answering(), pymongo.timeout(READ_TIMEOUT):
            found = {one["_id"]: _gate(one) for one in self._gates.find({}, _SEEN)}
        return {name.value: Gate(name.value) for name in ProviderName} | found

    def open(
        self,
        name: str,
        *,
        why: Why,
        reason: str,
        by: str,
        probed: Gate | None = None,
        tried: Sequence[str] = (),
    ) -> Gate | None:
        """See Breakers."""
        failed = probed.failed + 1 if probed else 0
        pause = rest(why, failed)
        again = {"$and": [{"$eq": ["$position", _OPEN]}, {"$eq": ["$why", why.value]}]}
        is_news = True if why is Why.OPERATOR else {"$not": [again]}
        was_open = {"$eq": ["$position", _OPEN]}
        return self._move(
            _probed(name, probed) if probed else _may_open(name, why),
            {
                "position": _OPEN,
                "why": why.value,
                "reason": {"$literal": reason},
                "by": {"$literal": by},
                "since": {"$cond": [was_open, "$since", "$$NOW"]},
                "probe_at": _after(pause) if pause is not None else None,
                "probe": {"$ifNull": ["$probe", 0]},
                "failed": failed,
                "tried": _with_tried(list(tried)),
                "changes": {
                    "$cond": [
                        is_news,
                        _with_change(Position.OPEN, why, reason, by),
                        "$changes",
                    ]
                },
            },
            upsert=probed is None,
        )

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: Gate | None = None,
    ) -> Gate | None:
        """See Breakers."""
        is_open = {"_id": name, "position": _OPEN}
        concerned_them = probed is not None and probed.why is Why.MISCONFIGURED
        return self._move(
            _probed(name, probed) if probed else is_open,
            {
                "position": Position.CLOSED.value,
                "why": None,
                "reason": {"$literal": reason},
                "by": {"$literal": by},
                "since": "$$NOW",
                "probe_at": None,
                "failed": 0,
                "tried": _with_tried([]) if concerned_them else [],
                "changes": _with_change(Position.CLOSED, None, reason, by),
            },
        )

    def take_probe(self, name: str) -> Gate | None:
        """See Breakers."""
        return self._move(
            {
                "_id": name,
                "position": _OPEN,
                "probe_at": {"$type": "date"},
                "$expr": {"$lte": ["$probe_at", "$$NOW"]},
            },
            {"probe_at": _after(PROBE), "probe": {"$add": ["$probe", 1]}},
        )

    def _move(
        self, which: Document, fields: Document, *, upsert: bool = False
    ) -> Gate | None:
        """The gate as it is after the write; None where ``which`` met nothing."""
        with answering():
            try:
                found = self._gates.find_one_and_update(
                    which,
                    [{"$set": fields}],
                    projection=_SEEN,
                    upsert=upsert,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # it is there, and in another position
                return None
        return _gate(found) if found else None


def _may_open(name: str, why: Why) -> Document:
    """The gate, where ``why`` is enough to open it or weighs more than why it is."""
    which: Document = {"_id": name}
    if why is Why.FAILING:
        which["position"] = {"$ne": _OPEN}
    elif why is Why.MISCONFIGURED:
        which["$or"] = [{"position": {"$ne": _OPEN}}, {"why": Why.FAILING.value}]
    return which


def _probed(name: str, probed: Gate) -> Document:
    """The gate, where the probe is its latest and no operator opened it meanwhile."""
    return {
        "_id": name,
        "position": _OPEN,
        "probe": probed.probe,
        "why": {"$ne": Why.OPERATOR.value},
    }


def _after(wait: timedelta) -> Document:
    return {"$add": ["$$NOW", wait // timedelta(milliseconds=1)]}


def _with_change(position: Position, why: Why | None, reason: str, by: str) -> Document:
    change = {
        "position": position.value,
        "why": why.value if why else None,
        "reason": {"$literal": reason},
        "by": {"$literal": by},
        "at": "$$NOW",
    }
    known = {"$ifNull": ["$changes", []]}
    return {"$slice": [{"$concatArrays": [known, [change]]}, -CHANGES]}


def _with_tried(operations: list[str]) -> Document:
    """The operations that are known and these, each once."""
    known = {"$ifNull": ["$tried", []]}
    these = {"$literal": operations}
    is_new = {"$in": ["$$one", these]}
    others = {"$filter": {"input": known, "as": "one", "cond": {"$not": [is_new]}}}
    return {"$slice": [{"$concatArrays": [others, these]}, -CHANGES]}


def _gate(document: Mapping[str, Any]) -> Gate:
    probe_in = document.get("probe_in")
    return Gate(
        name=document["_id"],
        position=Position(document["position"]),
        why=_why(document["why"]),
        reason=document["reason"],
        by=document["by"],
        since=document["since"],
        probe_at=document["probe_at"],
        probe_in=None if probe_in is None else timedelta(milliseconds=probe_in),
        probe=document["probe"],
        failed=document["failed"],
        tried=tuple(document.get("tried", ())),
        changes=tuple(
            Change(
                Position(one["position"]),
                _why(one["why"]),
                one["reason"],
                one["by"],
                one["at"],
            )
            for one in document["changes"]
        ),
    )


def _why(word: str | None) -> Why | None:
    return Why(word) if word else None
