"""Circuit breakers on MongoDB: one document each, changed by conditional writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pymongo
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from domain.circuit_breaker import (
    MAX_CHANGES,
    PROBE_TIMEOUT,
    BreakerChange,
    BreakerState,
    CircuitBreaker,
    TripReason,
    probe_delay,
)
from domain.payments.submission import ProviderName
from persistence.codec import Document
from persistence.mongo import translating_errors

#: Seconds that a worker waits for the breakers before it uses the states it knows.
READ_TIMEOUT: Final = 1.0

#: The states that stop calls. A breaker without a document is closed.
_OPEN: Final = [BreakerState.OPEN.value, BreakerState.HALF_OPEN.value]
_IS_OPEN: Final = {"$in": _OPEN}
_FIELDS: Final = (
    "state trip_reason reason by since probe_at probe_number failed_probes"
    " refused_operations changes".split()
)
#: The fields read, and the time until a probe by the server's clock.
_PROJECTION: Final[Document] = {
    **dict.fromkeys(_FIELDS, 1),
    "probe_in": {"$subtract": ["$probe_at", "$$NOW"]},
}


class MongoBreakerStore:
    """The BreakerStore on MongoDB. A breaker that never opened has no document."""

    def __init__(self, database: Database[Document]) -> None:
        self._breakers = database.circuit_breakers

    def load_all(self) -> Mapping[str, CircuitBreaker]:
        with translating_errors(), pymongo.timeout(READ_TIMEOUT):
            found = {
                one["_id"]: _decode(one) for one in self._breakers.find({}, _PROJECTION)
            }
        return {name.value: CircuitBreaker(name.value) for name in ProviderName} | found

    def open(
        self,
        name: str,
        *,
        trip_reason: TripReason,
        reason: str,
        by: str,
        probed: CircuitBreaker | None = None,
        refused_operations: Sequence[str] = (),
    ) -> CircuitBreaker | None:
        failed = probed.failed_probes + 1 if probed else 0
        probe_wait = probe_delay(trip_reason, failed)
        was_open = {"$in": ["$state", _OPEN]}
        is_unchanged = {
            "$and": [
                was_open,
                {"$eq": ["$trip_reason", trip_reason.value]},
            ]
        }
        is_change = (
            True if trip_reason is TripReason.OPERATOR else {"$not": [is_unchanged]}
        )
        return self._update(
            (
                _latest_probe_filter(name, probed)
                if probed
                else _openable_filter(name, trip_reason)
            ),
            {
                "state": BreakerState.OPEN.value,
                "trip_reason": trip_reason.value,
                "reason": {"$literal": reason},
                "by": {"$literal": by},
                "since": {"$cond": [was_open, "$since", "$$NOW"]},
                "probe_at": _after(probe_wait) if probe_wait is not None else None,
                "probe_number": {"$ifNull": ["$probe_number", 0]},
                "failed_probes": failed,
                "refused_operations": _with_refused(list(refused_operations)),
                "changes": {
                    "$cond": [
                        is_change,
                        _with_change(BreakerState.OPEN, trip_reason, reason, by),
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
        probed: CircuitBreaker | None = None,
    ) -> CircuitBreaker | None:
        is_open = {"_id": name, "state": _IS_OPEN}
        keeps_refused = (
            probed is not None and probed.trip_reason is TripReason.MISCONFIGURED
        )
        return self._update(
            _latest_probe_filter(name, probed) if probed else is_open,
            {
                "state": BreakerState.CLOSED.value,
                "trip_reason": None,
                "reason": {"$literal": reason},
                "by": {"$literal": by},
                "since": "$$NOW",
                "probe_at": None,
                "failed_probes": 0,
                "refused_operations": _with_refused([]) if keeps_refused else [],
                "changes": _with_change(BreakerState.CLOSED, None, reason, by),
            },
        )

    def claim_probe(self, name: str) -> CircuitBreaker | None:
        return self._update(
            {
                "_id": name,
                "state": _IS_OPEN,
                "probe_at": {"$type": "date"},
                "$expr": {"$lte": ["$probe_at", "$$NOW"]},
            },
            {
                "state": BreakerState.HALF_OPEN.value,
                "probe_at": _after(PROBE_TIMEOUT),
                "probe_number": {"$add": ["$probe_number", 1]},
            },
        )

    def _update(
        self, which: Document, fields: Document, *, upsert: bool = False
    ) -> CircuitBreaker | None:
        """Returns the breaker after the write; None if ``which`` matched nothing."""
        with translating_errors():
            try:
                found = self._breakers.find_one_and_update(
                    which,
                    [{"$set": fields}],
                    projection=_PROJECTION,
                    upsert=upsert,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # the breaker exists in another state
                return None
        return _decode(found) if found else None


def _openable_filter(name: str, trip_reason: TripReason) -> Document:
    """The filter for the breaker if ``trip_reason`` may open it.

    An operator may always do so; MISCONFIGURED takes the place of FAILING.
    """
    which: Document = {"_id": name}
    if trip_reason is TripReason.FAILING:
        which["state"] = {"$not": _IS_OPEN}
    elif trip_reason is TripReason.MISCONFIGURED:
        which["$or"] = [
            {"state": {"$not": _IS_OPEN}},
            {"trip_reason": TripReason.FAILING.value},
        ]
    return which


def _latest_probe_filter(name: str, probed: CircuitBreaker) -> Document:
    """The filter for the breaker if the probe is its latest and no operator opened it
    since.
    """
    return {
        "_id": name,
        "state": _IS_OPEN,
        "probe_number": probed.probe_number,
        "trip_reason": {"$ne": TripReason.OPERATOR.value},
    }


def _after(wait: timedelta) -> Document:
    return {"$add": ["$$NOW", wait // timedelta(milliseconds=1)]}


def _with_change(
    state: BreakerState, trip_reason: TripReason | None, reason: str, by: str
) -> Document:
    change = {
        "state": state.value,
        "trip_reason": trip_reason.value if trip_reason else None,
        "reason": {"$literal": reason},
        "by": {"$literal": by},
        "at": "$$NOW",
    }
    known = {"$ifNull": ["$changes", []]}
    return {"$slice": [{"$concatArrays": [known, [change]]}, -MAX_CHANGES]}


def _with_refused(operations: list[str]) -> Document:
    """The known operations and ``operations``, each once."""
    known = {"$ifNull": ["$refused_operations", []]}
    these = {"$literal": operations}
    is_new = {"$in": ["$$one", these]}
    others = {"$filter": {"input": known, "as": "one", "cond": {"$not": [is_new]}}}
    return {"$slice": [{"$concatArrays": [others, these]}, -MAX_CHANGES]}


def _decode(document: Mapping[str, Any]) -> CircuitBreaker:
    probe_in = document.get("probe_in")
    return CircuitBreaker(
        name=document["_id"],
        state=BreakerState(document["state"]),
        trip_reason=_decode_trip_reason(document["trip_reason"]),
        reason=document["reason"],
        by=document["by"],
        since=document["since"],
        probe_at=document["probe_at"],
        probe_in=None if probe_in is None else timedelta(milliseconds=probe_in),
        probe_number=document["probe_number"],
        failed_probes=document["failed_probes"],
        refused_operations=tuple(document.get("refused_operations", ())),
        changes=tuple(
            BreakerChange(
                BreakerState(one["state"]),
                _decode_trip_reason(one["trip_reason"]),
                one["reason"],
                one["by"],
                one["at"],
            )
            for one in document["changes"]
        ),
    )


def _decode_trip_reason(word: str | None) -> TripReason | None:
    return TripReason(word) if word else None
