"""What operators do to the gates before the providers' accounts, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from persistence.keys import Role
from tests.running_web import Client, RunningWeb

GATES = "/v1/operations/gates"


@pytest.fixture
def operator(web: RunningWeb) -> Iterator[Client]:
    """A client that may operate; the gates are closed after the test."""
    client = web.client(Role.OPERATOR)
    yield client
    for provider in ("stripe", "paypal"):
        _move(client, provider, "close")


def _move(
    client: Client, provider: str, how: str, reason: object = "maintenance"
) -> requests.Response:
    return client.send(
        "POST",
        f"{GATES}/{provider}/{how}",
        json.dumps({"reason": reason}),
        Content_Type="application/json",
    )


def _seen(client: Client) -> dict[str, str]:
    data = client.get(GATES).json()["data"]
    return {gate["provider"]: gate["position"] for gate in data}


def test_an_operator_opens_a_gate_and_closes_it(operator: Client) -> None:
    assert _seen(operator) == {"stripe": "closed", "paypal": "closed"}
    opened = _move(operator, "stripe", "open")
    assert opened.status_code == 200
    gate = opened.json()
    assert (gate["position"], gate["why"], gate["reason"], gate["by"]) == (
        "open",
        "operator",
        "maintenance",
        operator.key.id,
    )
    assert gate["probe_at"] is None, "only a person closes it"
    assert _seen(operator) == {"stripe": "open", "paypal": "closed"}
    assert _move(operator, "stripe", "close").json()["position"] == "closed"
    again = _move(operator, "stripe", "close")
    assert (again.status_code, again.json()["reason"]) == (409, "gate_is_closed")


def test_a_merchant_may_not_even_look(operator: Client, merchant: Client) -> None:
    assert merchant.get(GATES).status_code == 403
    assert _move(merchant, "stripe", "open").status_code == 403
    assert _seen(operator)["stripe"] == "closed"


def test_a_gate_is_moved_for_a_reason_and_there_are_two_of_them(
    operator: Client,
) -> None:
    assert _move(operator, "stripe", "open", "").status_code == 422
    assert _move(operator, "stripe", "open", None).status_code == 422
    assert _move(operator, "adyen", "open").status_code == 404
    assert _seen(operator) == {"stripe": "closed", "paypal": "closed"}
