"""Reading at Stripe: one object, lists with paging and filters, expansion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from simulators.calls import Answer, Call, Json
from simulators.stripe.customer_shapes import show_customer, show_method
from simulators.stripe.dispute_shape import show_dispute
from simulators.stripe.errors import answer, invalid, missing
from simulators.stripe.paging import check_query, page_of
from simulators.stripe.shapes import (
    show_balance_transaction,
    show_charge,
    show_intent,
    show_refund,
)
from simulators.stripe.store import Store

T = TypeVar("T")


class Reader:
    """Retrieves and lists the store's objects."""

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

    def dispute(self, call: Call) -> Answer:
        """``GET /v1/disputes/{id}``."""
        dispute = self._store.dispute(call.account, call.ids["id"])
        return self._one(call, show_dispute(dispute))

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
                # A copy, because an expansion changes its argument.
                return self._one(call, deepcopy(event))
        raise missing("event", call.ids["id"], "id")

    def customer(self, call: Call) -> Answer:
        """``GET /v1/customers/{id}``."""
        customer = self._store.customer(call.account, call.ids["id"])
        return self._one(call, show_customer(customer))

    def method(self, call: Call) -> Answer:
        """``GET /v1/payment_methods/{id}``."""
        method = self._store.method(call.account, call.ids["id"])
        return self._one(call, show_method(method))

    def customers(self, call: Call) -> Answer:
        """``GET /v1/customers``."""
        email = call.query.get("email")
        return self._page(
            call,
            self._store.account(call.account).customers,
            show_customer,
            lambda customer: email in (None, customer.email),
            ("email",),
        )

    def methods(self, call: Call) -> Answer:
        """``GET /v1/payment_methods`` of a customer."""
        type, id = call.query.get("type"), call.query.get("customer")
        customer = self._store.customer(call.account, str(id), "customer", 400)
        return self._page(
            call,
            customer.methods,
            show_method,
            lambda method: type in (None, method.kind.type),
            ("customer", "type"),
        )

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

    def disputes(self, call: Call) -> Answer:
        """``GET /v1/disputes``."""
        items = self._store.account(call.account).disputes
        charge, intent = call.query.get("charge"), call.query.get("payment_intent")
        return self._page(
            call,
            items,
            show_dispute,
            lambda dispute: charge in (None, dispute.charge.id)
            and intent in (None, dispute.charge.intent.id),
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
            deepcopy,
            lambda event: type in (None, event["type"])
            and (types is None or event["type"] in types),
            ("type", "types"),
        )

    def _one(self, call: Call, shown: Json) -> Answer:
        check_query(call, ("expand",))
        return answer(call, self.expanded(call, shown, call.query.get("expand")))

    def _page(
        self,
        call: Call,
        items: Sequence[T],
        show: Callable[[T], Json],
        wanted: Callable[[T], bool],
        filters: tuple[str, ...],
    ) -> Answer:
        page = page_of(call, items, show, wanted, filters)
        return answer(call, self.expanded(call, page, call.query.get("expand")))

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
        if prefix == "cus":
            return show_customer(store.customer(call.account, id))
        if prefix == "pm":
            return show_method(store.method(call.account, id))
        if prefix == "dp":
            return show_dispute(store.dispute(call.account, id))
        if prefix == "txn" and id in store.lines:
            return show_balance_transaction(store.lines[id][1])
        raise invalid(f"This property cannot be expanded ({whole}).", "expand")
