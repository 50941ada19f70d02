"""Forged, ended and foreign keys, and the cost of probing them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import requests

from application.api_keys import revoke_key, roll_key
from domain.api_keys import Role
from domain.payments.submission import Mode
from runtime import container
from tests.support.running_web import Client, RunningWeb, stripe_payment


def broken(secret: str) -> list[str]:
    """Variations of a secret, which must not open its key."""
    return [
        secret[:-1],
        secret + "0",
        secret[:-1] + ("0" if secret[-1] != "0" else "1"),
        secret.upper(),
        secret.replace("sk_test_", "sk_live_"),
        secret.removeprefix("sk_test_"),
        secret[: len("sk_test_") + 16],
        secret[: len("sk_test_") + 16] + "0" * 48,
        f"{secret} {secret}",
        f"{secret}\x00",
        "' || '1'=='1",
        '{"$ne": null}',
        "*",
    ]


def test_a_changed_secret_opens_no_key(web: RunningWeb, merchant: Client) -> None:
    assert merchant.get("/v1/payments").status_code == 200
    for secret in broken(merchant.secret):
        forged = replace(merchant, secret=secret)
        try:
            answer = forged.get("/v1/payments")
        except requests.exceptions.InvalidHeader:
            continue  # not even sent
        assert answer.status_code in (400, 401), secret


def test_a_key_outside_the_bearer_header_is_ignored(
    web: RunningWeb, merchant: Client
) -> None:
    base, secret = f"{web.base}/v1/payments", merchant.secret
    for answer in (
        requests.get(base, params={"api_key": secret}, timeout=10),
        requests.get(base, headers={"X-API-Key": secret}, timeout=10),
        requests.get(base, cookies={"Authorization": f"Bearer {secret}"}, timeout=10),
        requests.get(base, auth=(secret, ""), timeout=10),
    ):
        assert answer.status_code == 401
        assert secret not in answer.text


def test_a_revoked_key_ends_within_the_cache(web: RunningWeb) -> None:
    """A key that this process never saw ends at once; the cache holds it 10 s."""
    client = web.client()
    database = web.database()
    keys = container.open_keys(web.settings, database)
    revoke_key(client.key.id, store=keys, now=container.clock())
    database.client.close()
    answer = client.get("/v1/payments")
    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_invalid")


def test_a_rolled_key_stays_valid_during_its_overlap(web: RunningWeb) -> None:
    old = web.client()
    database = web.database()
    keys = container.open_keys(web.settings, database)
    key, secret = roll_key(
        old.key.id, overlap=timedelta(hours=1), store=keys, now=container.clock()
    )
    database.client.close()
    new = replace(old, key=key, secret=secret)
    payment_id = old.submit(stripe_payment()).json()["id"]
    assert new.get(f"/v1/payments/{payment_id}").status_code == 200


def test_a_secret_is_neither_stored_nor_logged(
    web: RunningWeb, merchant: Client
) -> None:
    merchant.submit(stripe_payment())
    database = web.database()
    for name in database.list_collection_names():
        for document in database[name].find():
            assert merchant.secret not in repr(document)
    database.client.close()
    assert merchant.secret not in web.log.read_text()


@pytest.mark.parametrize("part", ["id", "cursor", "reference", "idempotency key"])
def test_another_merchants_payment_cannot_be_reached(
    web: RunningWeb, merchant: Client, part: str
) -> None:
    theirs = web.client()
    made = theirs.submit(stripe_payment(reference="theirs"), key="shared").json()
    if part == "id":
        assert merchant.get(f"/v1/payments/{made['id']}").status_code == 404
    elif part == "cursor":
        theirs.submit(stripe_payment())
        cursor = theirs.get("/v1/payments?limit=1").json()["next_cursor"]
        assert merchant.get(f"/v1/payments?cursor={cursor}").json()["data"] == []
    elif part == "reference":
        assert merchant.get("/v1/payments?reference=theirs").json()["data"] == []
    else:
        mine = merchant.submit(stripe_payment(amount=5), key="shared")
        assert mine.status_code == 202
        assert mine.json()["id"] != made["id"]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_an_operators_key_reads_any_merchants_payment_and_moves_no_money(
    web: RunningWeb, merchant: Client, role: Role
) -> None:
    made = merchant.submit(stripe_payment(reference="theirs")).json()
    client, path = web.client(role), f"/v1/payments/{made['id']}"
    assert client.get(path).json() == merchant.get(path).json()
    assert client.get(f"{path}/events").status_code == 200
    assert client.get("/v1/payments?reference=theirs").json()["data"] == []
    for kind in ("captures", "refunds", "void"):
        answer = client.send(
            *("POST", f"{path}/{kind}", "{}"),
            Content_Type="application/json",
            Idempotency_Key=kind,
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
    assert merchant.get(path).json() == client.get(path).json()


@pytest.mark.parametrize("role", list(Role))
def test_a_key_of_another_mode_reads_nothing(
    web: RunningWeb, merchant: Client, role: Role
) -> None:
    made = merchant.submit(stripe_payment()).json()
    live = web.client(role, mode=Mode.LIVE)
    for part in ("", "/events"):
        answer = live.get(f"/v1/payments/{made['id']}{part}")
        assert (answer.status_code, answer.json()["code"]) == (403, "mode_not_served")
