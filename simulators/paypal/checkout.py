"""The page on which a payer approves or cancels an order."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from simulators.calls import Answer, Request
from simulators.paypal.objects import Order
from simulators.paypal.orders import Orders
from simulators.paypal.store import Store
from simulators.paypal.vault import Outcome, outcome_of
from simulators.provider import Page

#: Identifier of the one payer there is, as the redirect back carries it.
PAYER_ID: Final = "QYR5Z8XDVJNXQ"
#: Seconds until a wallet is saved later: PayPal answers a capture
#: as soon as it is paid (developer.paypal.com, save payment methods with the JS SDK).
SAVED_AFTER: Final = 60.0
#: The buttons: the label and the effect on the payment.
CHOICES: Final = {
    "approve": ("Approve", Outcome()),
    "approve_declined": (
        "Approve with a card that will be declined",
        outcome_of("vault_declined"),
    ),
    "approve_pending": (
        "Approve with a payment that will be reviewed",
        outcome_of("vault_pending"),
    ),
    "approve_saved_later": ("Approve, and have the wallet saved later", Outcome()),
    "cancel": ("Cancel", None),
}


class CheckoutPage:
    """``/checkoutnow?token=ORDER``."""

    def __init__(self, store: Store, orders: Orders) -> None:
        self._store = store
        self._orders = orders

    @property
    def pages(self) -> Sequence[Page]:
        """The page and the forms of its buttons."""
        path = "/checkoutnow"
        return [Page("GET", path, self._show), Page("POST", path, self._decide)]

    def _show(self, request: Request) -> Answer:
        order = self._order(request.query)
        if order is None:
            return _page(404, "<h1>This order does not exist or is over.</h1>")
        amounts = ", ".join(
            f"{money['value']} {money['currency_code']}"
            for money in (unit.money.shown() for unit in order.units)
        )
        buttons = " ".join(
            f'<button name="outcome" value="{name}">{escape(label)}</button>'
            for name, (label, _) in CHOICES.items()
        )
        return _page(
            200,
            f"<h1>Pay {escape(amounts)}</h1>"
            f'<form method="post" action="/checkoutnow?token={escape(order.id)}">'
            f"{buttons}</form>",
        )

    def _decide(self, request: Request) -> Answer:
        """``outcome``, one of CHOICES, as a form."""
        fields = parse_qs(request.body.decode("utf-8", "replace"))
        order = self._order(request.query or f"token={fields.get('token', [''])[0]}")
        if order is None:
            return _page(404, "<h1>This order does not exist or is over.</h1>")
        choice = fields.get("outcome", [""])[0]
        if choice not in CHOICES:
            return _page(400, f"<h1>outcome must be one of {', '.join(CHOICES)}</h1>")
        outcome = CHOICES[choice][1]
        if outcome is None:
            return _back(order.cancel_url, {"token": order.id})
        order.outcome = outcome
        order.keep_after = SAVED_AFTER if choice == "approve_saved_later" else 0.0
        order.source = order.source or "paypal"
        self._orders.approve(order)
        return _back(order.return_url, {"token": order.id, "PayerID": PAYER_ID})

    def _order(self, query: str) -> Order | None:
        """Return the page's order, if it can still be approved."""
        token = parse_qs(query).get("token", [""])[0]
        order = self._store.orders.get(token)
        if order is None or order.status == "COMPLETED" or self._orders.expired(order):
            return None
        return order


def _back(url: str | None, query: dict[str, str]) -> Answer:
    """Send the payer back to the shop; without an address, say thanks."""
    if url is None or urlsplit(url).scheme not in ("http", "https"):
        return _page(200, "<h1>Done. You can close this page.</h1>")
    joiner = "&" if urlsplit(url).query else "?"
    return Answer(302, headers={"Location": f"{url}{joiner}{urlencode(query)}"})


def _page(status: int, content: str) -> Answer:
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>PayPal (simulated)</title>{content}</html>"
    )
    return Answer(status, html.encode(), content_type="text/html; charset=utf-8")
