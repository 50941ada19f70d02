"""A simulator that takes only so many calls a second of an account."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

LIMIT = "_rate_limit"


@pytest.fixture
def limited(stripe_url: str) -> Iterator[str]:
    """Stripe's simulator with three calls a second, until the test ends."""
    assert _set(stripe_url, 3).json() == {"per_second": 3.0}
    yield stripe_url
    _set(stripe_url, 0)


def _set(url: str, per_second: Any) -> requests.Response:
    body = {"per_second": per_second}
    return requests.post(f"{url}/{LIMIT}", json=body, timeout=10)


def _read(url: str, account: str) -> requests.Response:
    headers = {"Authorization": f"Bearer sk_test_{account}"}
    return requests.get(f"{url}/v1/payment_intents", headers=headers, timeout=10)


def test_beyond_its_limit_an_account_is_told_when_to_come_back(limited: str) -> None:
    account = uuid.uuid4().hex
    answers = [_read(limited, account) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert sum(answer.ok for answer in answers) >= 3
    assert _read(limited, uuid.uuid4().hex).ok, "another account has its own"


@pytest.mark.parametrize("wrong", [-1, 1_000_000, "many", True, None])
def test_a_limit_that_is_none_is_refused_and_changes_nothing(
    limited: str, wrong: object
) -> None:
    assert _set(limited, wrong).status_code == 400
    assert requests.get(f"{limited}/{LIMIT}", timeout=10).json() == {"per_second": 3.0}
