"""The stored data shows no token, no personal data and no free text."""

from __future__ import annotations

import bson

from domain.money import Money
from domain.payments.answer import Answer, Verdict
from tests.support.running_web import Client, RunningWeb, stripe_payment

SECRETS = {
    "payment_method": "pm_canary_token",
    "description": "canary description",
    "return_url": "https://shop.example/canary",
    "customer": {"email": "canary@shop.example"},
    "metadata": {"canary name": "canary value"},
}


def test_sensitive_fields_are_sealed_in_the_stored_document(
    web: RunningWeb, merchant: Client
) -> None:
    made = merchant.submit(stripe_payment(**SECRETS)).json()
    web.work(made["id"], Answer(Verdict.SUCCEEDED, moved=Money(1999, "USD")))
    stored = web.stored(made["id"])
    assert stored is not None
    assert b"canary" not in bson.encode(stored)
    for field in ("personal_data", "provider_data"):
        assert isinstance(stored[field], bytes) and len(stored[field]) > 45


def test_sealed_fields_are_read_back_whole(web: RunningWeb, merchant: Client) -> None:
    made = merchant.submit(stripe_payment(**SECRETS)).json()
    read = merchant.get(f"/v1/payments/{made['id']}").json()
    assert read["metadata"] == SECRETS["metadata"]


def test_equal_values_are_sealed_differently(web: RunningWeb, merchant: Client) -> None:
    """Otherwise equal ciphertexts would show payments with the same token."""
    sealed = set()
    for _ in range(3):
        made = merchant.submit(stripe_payment(**SECRETS)).json()
        stored = web.stored(made["id"])
        assert stored is not None
        sealed.add(stored["personal_data"])
    assert len(sealed) == 3


def test_generated_keys_are_readable_by_their_owner_alone(web: RunningWeb) -> None:
    files = list((web.settings.home / "keys").iterdir())
    assert files
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_sealed_fields_are_in_no_log(web: RunningWeb, merchant: Client) -> None:
    merchant.submit(stripe_payment(**SECRETS))
    merchant.submit(stripe_payment(**SECRETS, amount="canary amount"))
    log = web.log.read_text()
    assert "payment_accepted" in log and "canary" not in log
