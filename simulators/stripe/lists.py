"""Reading at Stripe: one object, lists with paging and filters, expansion."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from simulators.calls import Answer, Call, Json
from simulators.stripe.errors import answer, invalid, missing
from simulators.stripe.shapes import (
    show_balance_transaction,
    show_charge,
    show_intent,
    show_refund,
)
from simulators.stripe.store import Store

#: Objects on one page. Source: https://docs.stripe.com/api/pagination
DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100

T = TypeVar("T")


class Reader:
    """Retrieves and lists what the store holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def intent(self, call: Call) -> Answer:
        """``GET /v1/payment_intents/{id}``."""
        intent = self._store.intent(call.account, call.ids["id"])
        return self._one(call, show_intent(intent))

    def charge(self, call: Call) -> Answer:
        """``GET /v1/charges/{id}``."""
        charge = self._store.charge(call.account, call.ids["id"])
        return self._one(call, show_charge(charge))

    def refund(self, call: Call) -> Answer:
        """``GET /v1/refunds/{id}``."""
        refund = self._store.refund(call.account, call.ids["id"])
        return self._one(call, show_refund(refund))

    def balance_transaction(self, call: Call) -> Answer:
        """``GET /v1/balance_transactions/{id}``."""
        account, line = self._store.lines.get(call.ids["id"], ("", None))
        if line is None or account != call.account:
            raise missing("balance transaction", call.ids["id"], "id")
        return self._one(call, show_balance_transaction(line))

    def event(self, call: Call) -> Answer:
        """``GET /v1/events/{id}``."""
        for event in self._store.account(call.account).events:
            if event["id"] == call.ids["id"]:
                return self._one(call, event)
        raise missing("event", call.ids["id"], "id")

    def intents(self, call: Call) -> Answer:
        """``GET /v1/payment_intents``."""
        items = self._store.account(call.account).intents
        customer = call.query.get("customer")
        return self._page(
            call,
            items,
            show_intent,
            lambda intent: customer in (None, intent.customer),
            ("customer",),
        )

    def refunds(self, call: Call) -> Answer:
        """``GET /v1/refunds``."""
        items = self._store.account(call.account).refunds
        charge, intent = call.query.get("charge"), call.query.get("payment_intent")
        return self._page(
            call,
            items,
            show_refund,
            lambda refund: charge in (None, refund.charge.id)
            and intent in (None, refund.charge.intent.id),
            ("charge", "payment_intent"),
        )

    def balance_transactions(self, call: Call) -> Answer:
        """``GET /v1/balance_transactions``."""
        items = self._store.account(call.account).lines
        type, source = call.query.get("type"), call.query.get("source")
        return self._page(
            call,
            items,
            show_balance_transaction,
            lambda line: type in (None, line.type) and source in (None, line.source),
            ("type", "source", "currency"),
        )

    def events(self, call: Call) -> Answer:
        """``GET /v1/events``."""
        items = list(self._store.account(call.account).events)
        type, types = call.query.get("type"), call.query.get("types")
        return self._page(
            call,
            items,
            lambda event: event,
            lambda event: type in (None, event["type"])
            and (types is None or event["type"] in types),
            ("type", "types"),
        )

    def _one(self, call: Call, shown: Json) -> Answer:
        _check_query(call, ("expand",))
        return answer(call, self.expanded(call, shown, call.query.get("expand")))

    def _page(
        self,
        call: Call,
        items: Sequence[T],
        show: Callable[[T], Json],
        wanted: Callable[[T], bool],
        filters: tuple[str, ...],
    ) -> Answer:
        """Return one page, newest first; ``items`` are in order of creation."""
        known = ("limit", "created", "starting_after", "ending_before", "expand")
        _check_query(call, (*known, *filters))
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
        body = {
            "object": "list",
            "data": page,
            "has_more": len(found) > limit,
            "url": call.path,
        }
        return answer(call, self.expanded(call, body, call.query.get("expand")))

    def expanded(self, call: Call, shown: Json, paths: object) -> Json:
        """Replace ids by the objects they name. Raises ``Refused`` for a wrong path."""
        if paths is None:
            return shown
        if not isinstance(paths, list):
            raise invalid("Invalid array", "expand")
        for path in paths:
            self._expand(call, shown, str(path).split("."), str(path))
        return shown

    def _expand(self, call: Call, here: Any, path: list[str], whole: str) -> None:
        for item in here if isinstance(here, list) else [here]:
            if not isinstance(item, dict) or path[0] not in item:
                raise invalid(f"This property cannot be expanded ({whole}).", "expand")
            value = item[path[0]]
            if isinstance(value, str):
                value = item[path[0]] = self._named(call, value, whole)
            if len(path) > 1 and value is not None:
                self._expand(call, value, path[1:], whole)

    def _named(self, call: Call, id: str, whole: str) -> Json:
        store, prefix = self._store, id.partition("_")[0]
        if prefix == "pi":
            return show_intent(store.intent(call.account, id))
        if prefix in ("ch", "py"):
            return show_charge(store.charge(call.account, id))
        if prefix == "re":
            return show_refund(store.refund(call.account, id))
        if prefix == "txn" and id in store.lines:
            return show_balance_transaction(store.lines[id][1])
        raise invalid(f"This property cannot be expanded ({whole}).", "expand")


def _check_query(call: Call, known: tuple[str, ...]) -> None:
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
    """Return the first index and the one past the last that the query allows."""
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
    """Return where an object is in its list; newest first, since pages begin there."""
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if (item["id"] if isinstance(item, dict) else item.id) == id:
            return index
    raise invalid(f"No such object: '{id}'", "starting_after", code="resource_missing")
