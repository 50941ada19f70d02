"""Runs simulators, and calls their control endpoints."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import requests
import stripe
from requests.auth import HTTPBasicAuth
from stripe import RequestsClient, StripeClient

from runtime.processes import wait_until
from simulators.__main__ import create_server, parse_options
from tests.support import published_shapes

#: Seconds for any wait before a test fails.
PATIENCE = 10.0
#: The form of a charge at Stripe that succeeds at once.
CHARGE: Final[Any] = {
    "amount": "1999",
    "currency": "usd",
    "confirm": "true",
    "payment_method": "pm_card_visa",
    "off_session": "true",
}


class Simulator:
    """A running simulator."""

    def __init__(self, name: str, url: str) -> None:
        self.url = url
        self.http = published_shapes.session(name)

    def get(self, path: str) -> Any:
        """GET JSON from a control endpoint."""
        return self.http.get(self.url + path, timeout=PATIENCE).json()

    def post(self, path: str, body: object) -> requests.Response:
        """POST JSON to a control endpoint."""
        return self.http.post(self.url + path, json=body, timeout=PATIENCE)

    def arm(self, **fault: object) -> None:
        """Arm a fault."""
        answer = self.post("/_faults", fault)
        assert answer.status_code == 201, answer.text

    def heal(self) -> None:
        """Disarm every fault."""
        self.http.delete(self.url + "/_faults", timeout=PATIENCE)

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        answer = self.post("/_clock", {"advance_seconds": seconds})
        assert answer.status_code == 200, answer.text

    def movements(self, **wanted: object) -> list[dict[str, Any]]:
        """Return the ledger's rows that have these fields."""
        rows: list[dict[str, Any]] = self.get("/_ledger")["movements"]
        return [row for row in rows if wanted.items() <= row.items()]

    def stripe(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        *,
        merchant: str,
        key: str | None = None,
    ) -> requests.Response:
        """Call the simulated Stripe with raw HTTP."""
        headers = {"Authorization": f"Bearer {merchant}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.http.request(
            method, self.url + path, data=form, headers=headers, timeout=PATIENCE
        )

    def stripe_sdk(self, merchant: str, account: str | None = None) -> StripeClient:
        """Return Stripe's SDK with the simulator's address."""
        return StripeClient(
            merchant,
            stripe_account=account,
            base_addresses={"api": self.url},
            http_client=RequestsClient(session=self.http),
            max_network_retries=0,
        )

    def paypal_token(self, client: str, secret: str = "secret") -> requests.Response:
        """Ask the simulated PayPal for an access token."""
        return self.http.post(
            f"{self.url}/v1/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=HTTPBasicAuth(client, secret),
            timeout=PATIENCE,
        )


class PayPalCaller:
    """One merchant's raw HTTP calls to the simulated PayPal."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.client = f"merchant-{uuid.uuid4().hex}"
        self.token = ""
        self.renew_token()

    def renew_token(self) -> None:
        """Ask for a new access token; moving the clock makes the old one expire."""
        answer = self.simulator.paypal_token(self.client)
        self.token = answer.json()["access_token"]

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        minimal: bool = False,
    ) -> requests.Response:
        """Call an operation; request the whole object unless ``minimal``."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["PayPal-Request-Id"] = key
        if not minimal:
            headers["Prefer"] = "return=representation"
        return self.simulator.http.request(
            method,
            self.simulator.url + path,
            json=body,
            headers=headers,
            timeout=PATIENCE,
        )

    def order(
        self, vault: str | None = "vault_ok", key: str | None = None, **changes: Any
    ) -> requests.Response:
        """Create an order of one unit; ``changes`` replace fields of the unit."""
        body = order_body(vault, **changes)
        return self.call("POST", "/v2/checkout/orders", body, key=key or new_key())


def order_body(
    vault: str | None,
    intent: str = "CAPTURE",
    value: str = "19.99",
    currency: str = "USD",
    **unit: Any,
) -> dict[str, Any]:
    """Return the body of an order for one unit."""
    amount = {"currency_code": currency, "value": value}
    body: dict[str, Any] = {"intent": intent, "purchase_units": [{"amount": amount}]}
    body["purchase_units"][0] |= unit
    if vault is not None:
        body["payment_source"] = {"paypal": {"vault_id": vault}}
    return body


def captures_of(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the captures of an order's only unit."""
    captures: list[dict[str, Any]] = order["purchase_units"][0]["payments"]["captures"]
    return captures


def issue_of(answer: requests.Response) -> str:
    """Return the issue of a PayPal error."""
    issue: str = answer.json()["details"][0]["issue"]
    return issue


def new_key() -> str:
    """Return a key that no other test uses."""
    return uuid.uuid4().hex


def eventually(condition: Callable[[], Any], description: str) -> Any:
    """Return the first true value; fail after ``PATIENCE`` seconds."""
    seen: list[Any] = []

    def holds() -> bool:
        seen[:] = [condition()]
        return bool(seen[0])

    if not wait_until(holds, seconds=PATIENCE):
        raise AssertionError(f"did not happen in {PATIENCE} s: {description}")
    return seen[0]


@contextmanager
def simulator(name: str, *options: str) -> Iterator[Simulator]:
    """Runs a simulator on a free port, in a thread that all simulators share.

    A process of its own, as ``simulator_process`` starts it, needs a second of imports.
    ``options`` are those of ``python -m simulators``.
    """
    loop = _event_loop()
    server = create_server(parse_options([name, *options]))

    def run(step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result(PATIENCE)

    run(server.start())
    running = Simulator(name, server.url)
    try:
        yield running
    finally:
        running.http.close()
        run(server.stop())


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="simulators", daemon=True).start()
    return loop


@contextmanager
def simulator_process(name: str) -> Iterator[tuple[Simulator, subprocess.Popen[str]]]:
    """Runs a simulator as a user does, in a process of its own."""
    command = [sys.executable, "-m", "simulators", name, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready" and ready["name"] == name
        running = Simulator(name, ready["url"])
        try:
            yield running, process
        finally:
            running.http.close()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


@contextmanager
def simulators() -> Iterator[tuple[Simulator, Simulator]]:
    """Runs Stripe and PayPal."""
    with simulator("stripe") as stripe, simulator("paypal") as paypal:
        yield stripe, paypal


class Receiver:
    """A web server that records webhooks and answers with given statuses."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        #: Statuses of the next answers; 200 when there are none left.
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                receiver.received.append((dict(self.headers), body))
                event = json.loads(body)
                problems = published_shapes.event_problems(event)
                published_shapes.add_problems("a webhook", problems)
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"
        # Closing waits for the next poll of the server.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def types(self) -> list[str]:
        """Return the types of the events received, in order."""
        events = [json.loads(body) for _, body in list(self.received)]
        return [event.get("type") or event["event_type"] for event in events]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def pay_by_card(
    client: stripe.StripeClient, method: str = "pm_card_visa", **changes: Any
) -> stripe.PaymentIntent:
    """Create and confirm a payment of 19.99 USD."""
    params: Any = {
        "amount": 1999,
        "currency": "usd",
        "confirm": True,
        "payment_method": method,
        "return_url": "https://shop.example/done",
        **changes,
    }
    return client.v1.payment_intents.create(params, {"idempotency_key": new_key()})
