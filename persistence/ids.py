"""Ids tell when they were made: a ULID begins with its millisecond."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from ulid import ULID

from persistence.codec import Document

#: An id is made some microseconds after its payment's time is read, and a process may
#: be stopped between the two, or its clock be set.
MARGIN: Final = timedelta(seconds=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST: Final = 2**48 - 1  #: the last millisecond that an id can have


def id_range_filter(since: datetime | None, before: datetime | None) -> Document:
    """Bounds of the ids of payments made ``since`` and ``before`` these times, for a
    filter of ``_id``; the margin included."""
    bounds: Document = {}
    if since is not None:
        bounds["$gte"] = _first_id(since, -MARGIN)
    if before is not None:
        bounds["$lt"] = _first_id(before, MARGIN)
    return bounds


def _first_id(at: datetime, margin: timedelta) -> str:
    """Of the calendar's first and last second as well."""
    milliseconds = (at - _EPOCH + margin) // timedelta(milliseconds=1)
    time = min(max(milliseconds, 0), _LAST).to_bytes(6, "big")
    return f"pay_{ULID.from_bytes(time + bytes(10))}"
