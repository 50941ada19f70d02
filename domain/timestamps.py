"""The text form of a time."""

from __future__ import annotations

from datetime import datetime, timezone


def format_rfc3339(at: datetime) -> str:
    """``2026-01-31T12:00:00.000Z``: UTC, to the millisecond that MongoDB keeps."""
    at = at.astimezone(timezone.utc)
    return f"{at.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
