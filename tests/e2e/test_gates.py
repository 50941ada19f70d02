"""A provider's account that an operator stops, and what waits for it."""

from __future__ import annotations

import json

from runtime.stack.processes import wait_until
from tests.e2e.shop import Shop
from tests.running_stack import RunningStack


def test_what_an_operator_stops_is_taken_waits_and_goes_on(
    stack: RunningStack,
) -> None:
    shop = Shop(stack)
    opened = stack.payments("gates", "open", "stripe", "--reason", "maintenance")
    assert opened.returncode == 0, opened.stderr
    listed = json.loads(stack.payments("gates", "--json").stdout)["data"]
    assert [(one["provider"], one["position"]) for one in listed] == [
        ("stripe", "open"),
        ("paypal", "closed"),
    ]
    try:
        # Workers go by what they read a second ago at most.
        assert wait_until(lambda: _waits(shop, shop.accepted()), seconds=30)
        waiting = shop.accepted()
        other = shop.accepted(provider="paypal", token="vault_ada")
        assert shop.settled(other, seconds=30)["status"] == "captured"
        held = shop.get(waiting)
        assert held["status"] == "processing"
        assert held["operations"][0]["attempts"] == 0
        assert shop.movements("stripe", waiting) == []
    finally:
        closed = stack.payments("gates", "close", "stripe", "--reason", "done")
    assert closed.returncode == 0, closed.stderr
    assert shop.settled(waiting, seconds=90)["status"] == "captured"
    assert len(shop.movements("stripe", waiting)) == 1


def _waits(shop: Shop, payment_id: str) -> bool:
    """Whether a payment is still untouched after it would usually be done."""
    return bool(shop.get(payment_id, wait=3)["status"] == "processing")
