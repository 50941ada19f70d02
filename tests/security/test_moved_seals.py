"""An attacker with write access to MongoDB cannot make the API open a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from domain.account import Credentials, StoredAccount
from domain.money import Money
from domain.payments.answer import Answer, SavedMethod, Verdict
from domain.payments.submission import Mode, ProviderName
from persistence.accounts import MongoAccounts
from persistence.codec import Document
from runtime import container
from tests.support.running_web import Client, RunningWeb, stripe_payment

SECRET = "sk_test_canary_of_the_other_merchant"
PAID = Answer(
    Verdict.SUCCEEDED,
    moved=Money(1999, "USD"),
    saved_method=SavedMethod("pm_mine", "cus_1"),
)


@pytest.fixture
def database(web: RunningWeb) -> Iterator[Database[Document]]:
    """The database, to which the attacker has access."""
    opened = web.database()
    yield opened
    opened.client.close()


@pytest.fixture
def secret(web: RunningWeb, database: Database[Document]) -> Document:
    """The document of another merchant's account."""
    account = StoredAccount(
        id=container.new_id("acct"),
        merchant="victim",
        mode=Mode.TEST,
        provider=ProviderName.STRIPE,
        created_at=container.clock(),
        credentials=Credentials(SECRET),
    )
    MongoAccounts(database, container.open_account_vault(web.settings)).add(account)
    return database.accounts.find_one({"_id": account.id}) or {}


def paid(web: RunningWeb, merchant: Client) -> Document:
    """The document of a payment that has saved its method."""
    made = merchant.submit(stripe_payment(metadata={"cart": "mine"})).json()
    web.work(made["id"], PAID)
    stored = web.stored(made["id"])
    assert stored is not None
    return stored


def shown(merchant: Client, payment_id: str) -> str:
    """The API's answers about a payment and the list of all, which still works."""
    one = merchant.get(f"/v1/payments/{payment_id}")
    if not one.ok:
        assert (one.status_code, one.json()["code"]) == (500, "document_unreadable")
    listed = merchant.get("/v1/payments")
    assert listed.status_code == 200
    return one.text + listed.text


Plant = Callable[[Document, Document], dict[str, Any]]


@pytest.mark.parametrize(
    "plant",
    [
        lambda mine, account: {"saved_method.id": account["credentials"]},
        lambda mine, account: {"saved_method": {"id": account["credentials"]}},
        lambda mine, account: {"provider_data": account["credentials"]},
        lambda mine, account: {"personal_data": account["credentials"]},
        lambda mine, account: {"metadata": account["credentials"]},
    ],
    ids=["saved_method.id", "saved_method", "provider_data", "personal_data", "meta"],
)
def test_an_accounts_secret_in_a_payments_document_is_never_shown(
    web: RunningWeb,
    merchant: Client,
    database: Database[Document],
    secret: Document,
    plant: Plant,
) -> None:
    mine, other = paid(web, merchant), paid(web, merchant)
    assert "pm_mine" in shown(merchant, mine["_id"])
    planted = plant(mine, secret)
    database.payments.update_one({"_id": mine["_id"]}, {"$set": planted})
    assert SECRET not in shown(merchant, mine["_id"])
    listed = {each["id"] for each in merchant.get("/v1/payments").json()["data"]}
    assert other["_id"] in listed
    opens = merchant.get(f"/v1/payments/{mine['_id']}").ok
    assert (mine["_id"] in listed) is opens
    assert SECRET not in web.log.read_text()


def test_another_merchants_personal_data_is_never_shown(
    web: RunningWeb, merchant: Client, database: Database[Document]
) -> None:
    victim = web.client()
    made = victim.submit(stripe_payment(metadata={"note": "canary"})).json()
    theirs, mine = web.stored(made["id"]) or {}, paid(web, merchant)
    database.payments.update_one(
        {"_id": mine["_id"]}, {"$set": {"personal_data": theirs["personal_data"]}}
    )
    assert "canary" not in shown(merchant, mine["_id"])
    # The document itself, given to the attacker's merchant, does not open either.
    database.payments.update_one(
        {"_id": theirs["_id"]}, {"$set": {"merchant": merchant.key.merchant}}
    )
    assert "canary" not in shown(merchant, theirs["_id"])


@pytest.mark.parametrize(
    ("field", "value"), [("merchant", "victim"), ("role", "admin"), ("mode", "live")]
)
def test_an_api_key_moved_to_another_merchant_is_refused(
    web: RunningWeb, database: Database[Document], field: str, value: str
) -> None:
    mine, changed = web.client(), web.client()
    assert mine.get("/v1/payments").status_code == 200
    one = {"_id": changed.key.id}
    database.api_keys.update_one(one, {"$set": {field: value}})
    assert changed.get("/v1/payments").status_code == 401
    # The hash of another key with its binding does not work either.
    taken = database.api_keys.find_one({"_id": mine.key.id}) or {}
    moved = {name: taken[name] for name in ("hash", "binding")}
    database.api_keys.update_one(one, {"$set": moved})
    assert changed.get("/v1/payments").status_code == 401


def test_a_payment_with_a_moved_seal_is_logged(
    web: RunningWeb, merchant: Client, database: Database[Document]
) -> None:
    mine, other = paid(web, merchant), paid(web, merchant)
    database.payments.update_one(
        {"_id": mine["_id"]}, {"$set": {"personal_data": other["personal_data"]}}
    )
    assert merchant.get(f"/v1/payments/{mine['_id']}").status_code == 500
    lines = [json.loads(line) for line in web.log.read_text().splitlines()]
    unreadable = [one for one in lines if one["event"] == "document_unreadable"]
    assert (mine["_id"], "SealBroken") in [
        (one["document"], one["code"]) for one in unreadable
    ]
