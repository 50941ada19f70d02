"""Filters ids by creation time: a ULID begins with its millisecond."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from ulid import ULID

from persistence.codec import Document

#: Allowed difference between a payment's creation time and its id's: the id is made
#: microseconds later, and the process may be stopped or its clock set in between.
MARGIN: Final = timedelta(seconds=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST: Final = 2**48 - 1  #: the last millisecond that an id can have


def id_range_filter(since: datetime | None, before: datetime | None) -> Document:
    """The ``_id`` filter of payments created from ``since`` until ``before``.

    Its bounds include MARGIN.
    """
    bounds: Document = {}
    if since is not None:
        bounds["$gte"] = _first_id(since, -MARGIN)
    if before is not None:
        bounds["$lt"] = _first_id(before, MARGIN)
    return bounds


def _first_id(at: datetime, margin: timedelta) -> str:
    """The first id of a time; times that an id cannot have give the nearest id."""
    milliseconds = (at - _EPOCH + margin) // timedelta(milliseconds=1)
    time = min(max(milliseconds, 0), _LAST).to_bytes(6, "big")
    return f"pay_{ULID.from_bytes(time + bytes(10))}"
