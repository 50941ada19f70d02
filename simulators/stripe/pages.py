"""The page on which a payer passes or fails 3-D Secure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from simulators.calls import Answer, Refused, Request, to_json
from simulators.provider import Page
from simulators.stripe.errors import error
from simulators.stripe.intents import Intents
from simulators.stripe.objects import Intent
from simulators.stripe.shapes import show_intent
from simulators.stripe.store import Store

OUTCOMES: Final = ("succeed", "fail")


class AuthenticationPage:
    """``/_stripe/authorize/{id}``: a page for people, JSON for programs."""

    def __init__(self, store: Store, intents: Intents) -> None:
        self._store = store
        self._intents = intents

    @property
    def pages(self) -> Sequence[Page]:
        """The page and the forms of its buttons."""
        path = "/_stripe/authorize/{id}"
        return [Page("GET", path, self._show), Page("POST", path, self._decide)]

    def _show(self, request: Request) -> Answer:
        intent = self._intent(request)
        amount = escape(f"{intent.amount} {intent.currency.upper()}")
        html = (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            "<title>3-D Secure (simulated)</title>"
            f"<h1>Authenticate a payment of {amount} (minor units)</h1>"
            '<form method="post">'
            '<button name="outcome" value="succeed">Complete</button> '
            '<button name="outcome" value="fail">Fail</button></form></html>'
        )
        return Answer(200, html.encode(), content_type="text/html; charset=utf-8")

    def _decide(self, request: Request) -> Answer:
        """``{"outcome": "succeed"|"fail"}``, as JSON or as a form."""
        intent = self._intent(request)
        form = not request.body.lstrip().startswith(b"{")
        outcome = _outcome(request.body, form)
        if outcome not in OUTCOMES:
            raise Refused(error(400, f"outcome must be one of {list(OUTCOMES)}"))
        return_url = intent.return_url
        self._intents.authenticate(intent, outcome == "succeed")
        if form and return_url and urlsplit(return_url).scheme in ("http", "https"):
            query = urlencode(
                {
                    "payment_intent": intent.id,
                    "payment_intent_client_secret": f"{intent.id}_secret_"
                    f"{intent.secret}",
                    "redirect_status": (
                        "succeeded" if outcome == "succeed" else "failed"
                    ),
                }
            )
            joiner = "&" if urlsplit(return_url).query else "?"
            return Answer(302, headers={"Location": f"{return_url}{joiner}{query}"})
        return Answer(200, to_json(show_intent(intent)))

    def _intent(self, request: Request) -> Intent:
        intent = self._store.intents.get(request.ids["id"])
        if intent is None:
            raise Refused(error(404, "No such payment_intent."))
        return intent


def _outcome(body: bytes, form: bool) -> object:
    try:
        if form:
            return parse_qs(body.decode()).get("outcome", [None])[0]
        return json.loads(body).get("outcome")
    except ValueError:
        return None
