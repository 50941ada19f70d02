"""The logs of several processes about one request, without private data."""

from __future__ import annotations

import json
import secrets
from typing import Any

import requests

from runtime.processes import wait_until
from tests.support.running_stack import RunningStack


def lines(stack: RunningStack) -> list[dict[str, Any]]:
    """Every log line of the stack's processes; each must be JSON."""
    text = (stack.home / "logs" / "stack.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_logs_follow_a_request_into_the_worker_and_hold_no_private_data(
    stack: RunningStack,
) -> None:
    name = f"req-{secrets.token_hex(8)}"
    trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    answer = requests.post(
        f"{stack.urls['api']}/v1/payments",
        json={
            "amount": 1999,
            "currency": "USD",
            "provider": "paypal",
            "payment_method": "vault_canary_token",
            "description": "canary description",
            "customer": {"email": "canary@example.com"},
            "metadata": {"canary": "canary metadata"},
        },
        headers={
            "Authorization": f"Bearer {stack.key}",
            "Idempotency-Key": secrets.token_hex(16),
            "Request-Id": name,
            "traceparent": trace,
        },
        timeout=10,
    )
    assert answer.headers["Request-Id"] == name

    def logged() -> list[dict[str, Any]]:
        return [line for line in lines(stack) if line.get("request_id") == name]

    assert wait_until(lambda: len(logged()) == 2, seconds=20)
    accepted, settled = logged()
    assert (accepted["process"], settled["process"]) == ("web", "worker")
    assert accepted["event"] == "payment_accepted"
    assert settled["event"] == "attempt_settled"
    assert settled["state"] == "succeeded"
    assert settled["traceparent"] == trace
    for line in (accepted, settled):
        assert line["payment"] == answer.json()["id"]
        assert line["merchant"] == "demo"
    log = (stack.home / "logs" / "stack.log").read_text()
    assert "canary" not in log
    assert stack.key not in log
