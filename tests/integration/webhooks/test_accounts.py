"""Tests of webhooks of merchants' accounts, with secrets and payments of their own."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
import requests

from application.accounts import roll_webhook_secrets
from domain.account import Credentials, StoredAccount
from domain.payments.dispute import DisputeState
from domain.payments.states import State, Status
from domain.webhooks import WebhookStatus
from runtime import container
from tests.support.account_shop import AccountsShop
from tests.support.dispute_steps import open_dispute
from tests.support.simulator_process import Receiver, eventually
from tests.support.webhook_workbench import (
    SECRET,
    WebhookWorkbench,
    SignedDelivery,
    drops,
    refused,
)

#: The event types of a successful charge, and of a dispute.
PAID = {"stripe": "payment_intent.succeeded", "paypal": "PAYMENT.CAPTURE.COMPLETED"}
DISPUTED = {"stripe": "charge.dispute.created", "paypal": "CUSTOMER.DISPUTE.CREATED"}
BOTH = pytest.mark.parametrize("provider", ["stripe", "paypal"])


@dataclass
class Shop:
    """A shop with its own accounts and their webhooks."""

    bench: WebhookWorkbench
    accounts: AccountsShop
    stack: ExitStack

    def add(self, provider: str = "stripe", secret: str | None = None) -> StoredAccount:
        """A new account; ``secret`` signs its webhooks, by default its own."""
        secret = secret or f"whsec_{uuid.uuid4().hex}"
        if provider == "stripe":
            its = Credentials(f"sk_test_{uuid.uuid4().hex}", webhook_secrets=(secret,))
        else:
            client = f"client-{uuid.uuid4().hex}"
            its = Credentials("a secret", client, webhook_id=secret)
        return self.accounts.add(provider, credentials=its)

    def listen(self, account: StoredAccount, secret: str | None = None) -> Receiver:
        """A receiver of all events, in place of the account's endpoint."""
        its, receiver = account.credentials, Receiver()
        self.stack.callback(receiver.close)
        target = {
            "url": receiver.url,
            "secret": secret or its.webhook_id or its.webhook_secrets[0],
        }
        added = self.bench.work.simulator(account.provider).post("/_webhooks", target)
        assert added.status_code == 201, added.text
        return receiver

    def lost(self, provider: str) -> str:
        """A charged payment whose answer was lost."""
        payment_id = self.bench.work.pay(provider)
        self.bench.work.lose_answer(provider)
        assert self.bench.work.step(payment_id).first_operation.state is State.UNKNOWN
        return payment_id


@pytest.fixture
def shop(bench: WebhookWorkbench) -> Iterator[Shop]:
    """A shop without accounts."""
    with ExitStack() as stack:
        yield Shop(bench, AccountsShop(bench.work), stack)


def find_event(receiver: Receiver, account: StoredAccount, kind: str) -> SignedDelivery:
    """The first event of this type, addressed to the account's endpoint."""
    eventually(lambda: kind in receiver.types(), f"{kind} arrives")
    headers, body = receiver.received[receiver.types().index(kind)]
    return SignedDelivery(account.provider, headers, body, account.id)


def signed(delivery: SignedDelivery, body: bytes, secret: str) -> SignedDelivery:
    """A body as Stripe would sign it."""
    at = str(int(time.time()))
    message = at.encode() + b"." + body
    signature = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signature}"}
    return replace(delivery, body=body, headers=headers)


def refuses(
    bench: WebhookWorkbench, delivery: SignedDelivery, status: int, why: str
) -> requests.Response:
    """Asserts that the webhook is refused and counted, and changes nothing."""
    payments = list(bench.work.database.payments.find())
    before = refused(delivery.provider).get(why, 0)
    answer = bench.post(delivery)
    assert answer.status_code == status, answer.text
    assert refused(delivery.provider)[why] == before + 1
    assert bench.work.database.webhooks.count_documents({}) == 0
    assert list(bench.work.database.payments.find()) == payments
    return answer


@BOTH
def test_a_webhook_of_an_account_settles_its_payment(shop: Shop, provider: str) -> None:
    work, account = shop.bench.work, shop.add(provider)
    receiver = shop.listen(account)
    payment_id = shop.lost(provider)
    posts = work.calls(provider, "POST")
    delivery = find_event(receiver, account, PAID[provider])
    shop.bench.deliver(delivery)
    assert shop.bench.status(delivery) is WebhookStatus.HANDLED
    after = work.stored(payment_id)
    assert (after.status, after.account) == (Status.CAPTURED, account.account)
    assert work.calls(provider, "POST") == posts, "it was looked up, not sent again"
    assert len(shop.accounts.charges(payment_id)) == 1


@BOTH
def test_the_same_event_is_refused_at_any_other_address(
    shop: Shop, provider: str
) -> None:
    account, other = shop.add(provider), shop.add(provider)
    receiver = shop.listen(account)
    shop.lost(provider)
    delivery = find_event(receiver, account, PAID[provider])
    refuses(shop.bench, replace(delivery, account=other.id), 401, "signature")
    refuses(shop.bench, replace(delivery, account=None), 401, "signature")
    assert shop.bench.post(delivery).status_code == 200


@BOTH
def test_an_account_without_secrets_refuses_webhooks(shop: Shop, provider: str) -> None:
    account = shop.add(provider)
    delivery = find_event(*_one(shop, account, provider), PAID[provider])
    without_secret = shop.accounts.add(provider)
    misdirected = replace(delivery, account=without_secret.id)
    refuses(shop.bench, misdirected, 401, "not_set_up")


@BOTH
def test_a_webhook_of_an_unknown_account_is_not_found(
    shop: Shop, provider: str
) -> None:
    account = shop.add(provider)
    delivery = find_event(*_one(shop, account, provider), PAID[provider])
    other = shop.add("paypal" if provider == "stripe" else "stripe")
    names = [container.new_id("acct"), other.id, provider, "acct_1", f"{account.id}%0A"]
    for name in names:
        stranger = replace(delivery, account=name)
        answer = refuses(shop.bench, stranger, 404, "account_unknown")
        assert answer.json()["code"] == "account_not_found"


@BOTH
def test_a_first_webhook_is_accepted_during_a_flood_of_made_up_accounts(
    shop: Shop, provider: str
) -> None:
    account = shop.add(provider)
    delivery = find_event(*_one(shop, account, provider), PAID[provider])
    for _ in range(300):
        stranger = replace(delivery, account=container.new_id("acct"))
        assert shop.bench.post(stranger).status_code == 404
    assert shop.bench.post(delivery).status_code == 200


def test_a_webhook_of_another_accounts_payment_changes_nothing(
    shop: Shop,
) -> None:
    shop.add()
    payment_id = shop.lost("stripe")
    before = shop.bench.work.stored(payment_id)
    other, event = shop.add(), _charged(shop)
    misled = signed(replace(event, account=other.id), event.body, _secret(other))
    shop.bench.deliver(misled)
    assert shop.bench.status(misled) is WebhookStatus.UNMATCHED
    assert shop.bench.work.stored(payment_id) == before


def test_a_rotated_secret_is_accepted_until_it_is_removed(
    shop: Shop,
) -> None:
    account = shop.add(secret="whsec_old")
    delivery = find_event(*_one(shop, account, "stripe"), PAID["stripe"])
    assert shop.bench.post(delivery).status_code == 200
    new = signed(delivery, delivery.body, "whsec_new")
    assert shop.bench.post(new).status_code == 401
    _sign_with(shop, account, "whsec_new", "whsec_old")
    eventually(lambda: shop.bench.post(new).ok, "the new secret is known")
    assert shop.bench.post(delivery).status_code == 200, "and the old one still is"
    _sign_with(shop, account, "whsec_new")
    eventually(lambda: not shop.bench.post(delivery).ok, "the old one is forgotten")
    assert shop.bench.post(new).status_code == 200


def test_a_connected_accounts_events_come_to_the_deployments_address(
    shop: Shop,
) -> None:
    name = f"acct_{uuid.uuid4().hex[:16]}"
    account = shop.accounts.add(secret=None, connected_account=name)
    payment_id = shop.lost("stripe")
    delivery = _charged(shop)
    assert delivery.event["account"] == name
    at_home = replace(delivery, account=account.id)
    refuses(shop.bench, at_home, 401, "not_set_up")
    assert shop.bench.post(delivery).status_code == 200
    [webhook_id] = [one["_id"] for one in shop.bench.work.database.webhooks.find()]
    assert webhook_id == at_home.id, "it is stored for the connected account"
    [handled] = shop.bench.handle([webhook_id])
    assert handled.account == account.account
    assert shop.bench.work.stored(payment_id).status is Status.CAPTURED


def test_an_address_takes_only_events_that_name_its_connected_account(
    shop: Shop,
) -> None:
    name = f"acct_{uuid.uuid4().hex[:16]}"
    its = Credentials(webhook_secrets=("whsec_connect",))
    account = shop.accounts.add(connected_account=name, credentials=its)
    delivery = find_event(*_one(shop, account, "stripe"), PAID["stripe"])
    assert delivery.event["account"] == name
    for named in (None, "acct_1032D82eZvKYlo2C"):
        event = {**delivery.event, "account": named}
        other = signed(delivery, json.dumps(event).encode(), "whsec_connect")
        drops(shop.bench, other, "another_account")
    assert shop.bench.post(delivery).status_code == 200
    live = json.dumps({**delivery.event, "livemode": True}).encode()
    foreign = signed(replace(delivery, account=None), live, SECRET)
    shop.bench.work.database.webhooks.delete_many({})
    drops(shop.bench, foreign, "another_mode")


@BOTH
def test_a_dispute_is_read_at_the_account_and_applied_to_its_payment(
    shop: Shop, provider: str
) -> None:
    work, account = shop.bench.work, shop.add(provider)
    receiver = shop.listen(account)
    payment_id = work.complete_payment(provider)
    open_dispute(shop.bench, payment_id)
    delivery = find_event(receiver, account, DISPUTED[provider])
    shop.bench.deliver(delivery)
    assert shop.bench.status(delivery) is WebhookStatus.HANDLED
    [dispute] = work.stored(payment_id).disputes
    assert dispute.state is DisputeState.NEEDS_RESPONSE
    assert dispute.operation == work.stored(payment_id).first_operation.id


def _one(
    shop: Shop, account: StoredAccount, provider: str
) -> tuple[Receiver, StoredAccount]:
    """The account's endpoint after a charge."""
    receiver = shop.listen(account)
    shop.lost(provider)
    return receiver, account


def _charged(shop: Shop) -> SignedDelivery:
    """Stripe's webhook of a charge to the deployment's own endpoint."""
    deliveries = shop.bench.deliveries("stripe", PAID["stripe"])
    return next(one for one in deliveries if one.type == PAID["stripe"])


def _secret(account: StoredAccount) -> str:
    [secret] = account.credentials.webhook_secrets
    return secret


def _sign_with(shop: Shop, account: StoredAccount, *secrets: str) -> None:
    store = shop.accounts.accounts
    roll_webhook_secrets(account.id, secrets, store=store, now=container.clock())
