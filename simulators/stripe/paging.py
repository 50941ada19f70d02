"""Pages of Stripe's lists: newest first, by limit, time and cursor.

Source: https://docs.stripe.com/api/pagination
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from simulators.calls import Call, Json
from simulators.stripe.errors import invalid

#: Objects on one page.
DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100

T = TypeVar("T")


def page_of(
    call: Call,
    items: Sequence[T],
    show: Callable[[T], Json],
    wanted: Callable[[T], bool],
    filters: tuple[str, ...],
) -> Json:
    """Return one page of ``items``, which are in order of creation.

    ``filters`` are the parameters of ``wanted``. Raises ``Refused`` for others.
    """
    known = ("limit", "created", "starting_after", "ending_before", "expand")
    check_query(call, (*known, *filters))
    limit = _limit(call.query.get("limit", str(DEFAULT_LIMIT)))
    low, high = _window(call, items)
    backwards = "ending_before" in call.query
    order = range(low, high) if backwards else range(high - 1, low - 1, -1)
    found = []
    for index in order:
        if wanted(items[index]):
            found.append(show(items[index]))
            if len(found) > limit:
                break
    page = found[:limit]
    if backwards:
        page.reverse()
    return {
        "object": "list",
        "data": page,
        "has_more": len(found) > limit,
        "url": call.path,
    }


def check_query(call: Call, known: tuple[str, ...]) -> None:
    """Raise ``Refused`` for the first parameter that does not exist."""
    for name in call.query:
        if name not in known:
            raise invalid(
                f"Received unknown parameter: {name}", name, code="parameter_unknown"
            )


def _limit(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and 1 <= int(value) <= MAX_LIMIT:
        return int(value)
    raise invalid(f"Invalid limit: must be between 1 and {MAX_LIMIT}", "limit")


def _window(call: Call, items: Sequence[Any]) -> tuple[int, int]:
    """Return the first index and the end index of the query's range."""
    low, high = 0, len(items)
    for operator, at in _created(call.query.get("created")):
        first = bisect_left(items, at + (operator in ("gt", "lte")), key=_created_of)
        if operator in ("gt", "gte"):
            low = max(low, first)
        else:
            high = min(high, first)
    if "starting_after" in call.query:
        high = min(high, _index(items, call.query["starting_after"]))
    if "ending_before" in call.query:
        low = max(low, _index(items, call.query["ending_before"]) + 1)
    return low, high


def _created(value: object) -> list[tuple[str, int]]:
    if value is None:
        return []
    if isinstance(value, str) and value.isdecimal():
        return [("gte", int(value)), ("lte", int(value))]
    if not isinstance(value, dict):
        raise invalid("Invalid created", "created")
    bounds = []
    for operator, at in value.items():
        if operator not in ("gt", "gte", "lt", "lte") or not str(at).isdecimal():
            raise invalid("Invalid created", f"created[{operator}]")
        bounds.append((operator, int(at)))
    return bounds


def _created_of(item: Any) -> int:
    created: int = item["created"] if isinstance(item, dict) else item.created
    return created


def _index(items: Sequence[Any], id: object) -> int:
    """Return an object's index in its list, newest first."""
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if (item["id"] if isinstance(item, dict) else item.id) == id:
            return index
    raise invalid(f"No such object: '{id}'", "starting_after", code="resource_missing")
