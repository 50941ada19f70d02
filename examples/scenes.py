"""Events of some of the demo's payments after their submission.

``scenes.ndjson`` has a scene per line: its payment, and its steps. A step is the
payer's choice on the payment's page (``payer``: the button), a request of the shop
(``job`` and ``body``), or an event at the provider (``control``: an address of its
simulator, and ``body``). ``until`` has the payment's fields after the step.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from domain.money import Money

SCENES: Final = Path(__file__).with_name("scenes.ndjson")
#: Seconds until the payment shows a step; with a webhook it takes one.
WAIT: Final = 30
#: Seconds for one request.
TIMEOUT: Final = 10

_EVENT: Final = "  {}  {:<20}  {:<24}  {}"
_ROW: Final = "  {:<50}  {:<10}  {:<32}  {:<32}  {:<3}  {}"


@dataclass(frozen=True, slots=True)
class Shop:
    """The demo's merchant. ``urls`` are the stack's: api, stripe, paypal."""

    urls: Mapping[str, str]
    key: str

    def find(self, reference: str) -> dict[str, Any]:
        """Returns the payment with that reference."""
        query = {"reference": reference}
        [found] = self._read("/v1/payments", query)["data"]
        return dict(found)

    def payments(self) -> list[dict[str, Any]]:
        """Returns all payments; the demo has fewer than a page."""
        return list(self._read("/v1/payments", {"limit": "100"})["data"])

    def read(self, payment_id: str) -> dict[str, Any]:
        """Returns the current payment."""
        return self._read(f"/v1/payments/{payment_id}")

    def events(self, payment_id: str) -> list[dict[str, Any]]:
        """Returns the payment's timeline."""
        return list(self._read(f"/v1/payments/{payment_id}/events")["data"])

    def ask(self, payment_id: str, job: str, body: Mapping[str, Any]) -> None:
        """Requests a capture, a refund or a void."""
        requests.post(
            f"{self.urls['api']}/v1/payments/{payment_id}/{job}",
            json=body,
            headers={**self._headers, "Idempotency-Key": uuid.uuid4().hex},
            timeout=TIMEOUT,
        ).raise_for_status()

    def _read(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answer = requests.get(
            self.urls["api"] + path,
            params=query,
            headers=self._headers,
            timeout=TIMEOUT,
        )
        answer.raise_for_status()
        return dict(answer.json())

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def play(shop: Shop) -> bool:
    """Plays every scene and prints a row of each; True if all ended as expected."""
    columns = ("scene", "reference", "result", "expected", "ok", "payment")
    print(_ROW.format(*columns), flush=True)
    print(f"  {'─' * 164}", flush=True)
    return all([_play_scene(shop, scene) for scene in scenes()])


def print_timeline(shop: Shop, payment: Mapping[str, Any]) -> None:
    """Prints the payment's timeline: time, event, operation and state."""
    titles = {
        operation["id"]: f"{operation['kind']} of"
        f" {Money(operation['amount'], payment['currency'])}"
        for operation in payment["operations"]
    }
    for event in shop.events(payment["id"]):
        data = event["data"]
        title = titles.get(data.get("operation"), "")
        state = data.get("to", "")
        print(_EVENT.format(event["at"][11:23], event["type"], title, state).rstrip())


def scenes() -> Iterator[dict[str, Any]]:
    """Returns the lines of ``scenes.ndjson``."""
    for line in SCENES.read_text().splitlines():
        yield json.loads(line)


def _play_scene(shop: Shop, scene: Mapping[str, Any]) -> bool:
    payment = shop.find(scene["reference"])
    for step in scene["steps"]:
        _act(shop, payment, step)
        payment = _wait_for(shop, payment["id"], step["until"])
        if not _has(payment, step["until"]):
            break
    wanted = step["until"]
    done, currency = _has(payment, wanted), payment["currency"]
    result = _summarize({name: payment.get(name) for name in wanted}, currency)
    row = (scene["scene"], scene["reference"], result, _summarize(wanted, currency))
    print(_ROW.format(*row, "yes" if done else "NO", payment["id"]), flush=True)
    return done


def _act(shop: Shop, payment: dict[str, Any], step: Mapping[str, Any]) -> None:
    if "payer" in step:
        _visit(payment["next_action"]["url"], step["payer"])
    elif "job" in step:
        shop.ask(payment["id"], step["job"], step["body"])
    else:
        refs = payment["provider_refs"]
        body = {
            name: refs[value["ref"]] if isinstance(value, dict) else value
            for name, value in step["body"].items()
        }
        base = shop.urls[payment["provider"]]
        requests.post(
            base + step["control"], json=body, timeout=TIMEOUT
        ).raise_for_status()


def _visit(page: str, button: str) -> None:
    """Opens the page and presses a button, like the payer's browser.

    It does not follow the redirect, because the shop does not exist.
    """
    requests.get(page, timeout=TIMEOUT).raise_for_status()
    pressed = {"outcome": button}
    requests.post(
        page, data=pressed, timeout=TIMEOUT, allow_redirects=False
    ).raise_for_status()


def _wait_for(shop: Shop, payment_id: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the payment once it shows ``wanted``, or its state at the timeout."""
    deadline = time.monotonic() + WAIT
    payment = shop.read(payment_id)
    while not _has(payment, wanted) and time.monotonic() < deadline:
        time.sleep(0.1)
        payment = shop.read(payment_id)
    return payment


def _has(shown: Any, wanted: Any) -> bool:
    """Whether all wanted values are present; objects may have more fields."""
    if isinstance(wanted, dict):
        return isinstance(shown, dict) and all(
            _has(shown.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(shown, list)
            and len(shown) == len(wanted)
            and all(map(_has, shown, wanted))
        )
    return bool(shown == wanted)


def _summarize(shown: Mapping[str, Any], currency: str) -> str:
    """The fields of a scene in a few words, such as ``captured 33.00 EUR``."""
    words = []
    for name, value in shown.items():
        if name.startswith("amount") and isinstance(value, int):
            words.append(str(Money(value, currency)))
        elif isinstance(value, list):
            words += [f"{name[:-1]} {item.get('state')}" for item in value]
        else:
            words.append(str(value))
    return " ".join(words)
