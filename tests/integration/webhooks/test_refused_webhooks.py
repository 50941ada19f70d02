"""Tests that forged and misdirected webhooks are refused and counted."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client.parser import text_string_to_metric_families

from domain.webhooks import WebhookStatus
from providers.paypal.certificates import FETCHES_A_MINUTE
from tests.support.signing_certificates import PATH, Authority, serving, signed
from tests.support.simulator_process import Simulator
from tests.support.webhook_workbench import (
    SECRET,
    WEBHOOK_ID,
    WebhookWorkbench,
    SignedDelivery,
    drops,
    refused,
    served,
)

#: The event type of a successful charge.
_TYPES = {"stripe": "payment_intent.succeeded", "paypal": "PAYMENT.CAPTURE.COMPLETED"}


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)


def _charge_webhook(bench: WebhookWorkbench, provider: str) -> SignedDelivery:
    """The webhook of a charge whose answer was lost."""
    payment_id = bench.work.pay(provider)
    bench.work.lose_answer(provider)
    bench.work.step(payment_id)
    deliveries = bench.deliveries(provider, _TYPES[provider])
    return next(one for one in deliveries if one.type == _TYPES[provider])


def _refuses(
    bench: WebhookWorkbench,
    delivery: SignedDelivery,
    status: int,
    why: str,
    give: Callable[[], requests.Response],
) -> None:
    payments = list(bench.work.database.payments.find())
    before = refused(delivery.provider)
    answer = give()
    assert answer.status_code == status, answer.text
    assert answer.json()["reason"] == why
    assert refused(delivery.provider).get(why, 0) == before.get(why, 0) + 1
    assert bench.work.database.webhooks.count_documents({}) == 0
    assert list(bench.work.database.payments.find()) == payments


def test_a_genuine_webhook_is_stored_sealed(
    bench: WebhookWorkbench, provider: str
) -> None:
    delivery = _charge_webhook(bench, provider)
    assert bench.post(delivery).json() == {"received": True}
    assert bench.post(delivery).json() == {"received": True}
    [kept] = bench.work.database.webhooks.find()
    assert kept["_id"] == delivery.id
    assert delivery.body[:40] not in kept["body"]
    [found] = bench.inbox.load([delivery.id])
    assert found.body.encode() == delivery.body


def test_an_altered_webhook_is_refused(bench: WebhookWorkbench, provider: str) -> None:
    delivery = _charge_webhook(bench, provider)
    altered = replace(delivery, body=delivery.body.replace(b"1999", b"9999"))
    altered = replace(altered, body=altered.body + b" ")
    _refuses(bench, delivery, 401, "signature", lambda: bench.post(altered))


def test_a_stale_webhook_is_refused(bench: WebhookWorkbench, provider: str) -> None:
    delivery = _charge_webhook(bench, provider)
    bench.clock.ahead = timedelta(seconds=302)
    _refuses(bench, delivery, 400, "stale", lambda: bench.post(delivery))
    bench.clock.ahead = timedelta(seconds=-302)
    _refuses(bench, delivery, 400, "stale", lambda: bench.post(delivery))
    bench.clock.ahead = timedelta(seconds=280)
    assert bench.post(delivery).status_code == 200


@pytest.mark.parametrize("header", ["", "t=1", "v1=00", "t=x,v1=00", "t=1,t=2,v1=0"])
def test_a_malformed_stripe_signature_header_is_refused(
    bench: WebhookWorkbench, header: str
) -> None:
    delivery = replace(_charge_webhook(bench, "stripe"), headers={})
    given = {"Stripe-Signature": header} if header else {}
    _refuses(bench, delivery, 400, "malformed", lambda: bench.post(delivery, **given))


def test_a_forged_stripe_signature_is_refused(bench: WebhookWorkbench) -> None:
    delivery = _charge_webhook(bench, "stripe")
    forged = replace(delivery, headers=_stripe_headers(delivery.body, "whsec_guessed"))
    _refuses(bench, delivery, 401, "signature", lambda: bench.post(forged))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"livemode": True}, "another_mode"),
        ({"livemode": None}, "another_mode"),
        ({"account": "acct_1032D82eZvKYlo2C"}, "another_account"),
        ({"account": "half \ud83d"}, "another_account"),
        ({"account": 5}, "malformed"),
        ({"id": 5}, "malformed"),
        ({"type": "x" * 200}, "malformed"),
    ],
)
def test_a_signed_event_that_is_not_for_us_is_answered_200_and_dropped(
    bench: WebhookWorkbench, changed: dict[str, Any], why: str
) -> None:
    delivery = _charge_webhook(bench, "stripe")
    body = json.dumps({**delivery.event, **changed}).encode()
    drops(
        bench, replace(delivery, body=body, headers=_stripe_headers(body, SECRET)), why
    )


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"\xff", b"[" * 100_000])
def test_a_signed_body_that_is_no_event_is_answered_200_and_dropped(
    bench: WebhookWorkbench, body: bytes
) -> None:
    delivery = _charge_webhook(bench, "stripe")
    odd = replace(delivery, body=body, headers=_stripe_headers(body, SECRET))
    drops(bench, odd, "malformed")


def test_a_signed_event_of_an_unknown_type_is_stored_and_ignored(
    bench: WebhookWorkbench,
) -> None:
    delivery = _charge_webhook(bench, "stripe")
    event = {"object": "v2.core.event", "id": "evt_thin", "livemode": False}
    body = json.dumps({**event, "type": "v1.billing.meter.no_meter_found"}).encode()
    thin = replace(delivery, body=body, headers=_stripe_headers(body, SECRET))
    assert bench.post(thin).status_code == 200
    assert bench.status(thin) is WebhookStatus.IGNORED


def test_an_object_of_another_api_version_is_stored_as_unreadable(
    bench: WebhookWorkbench,
) -> None:
    delivery = _charge_webhook(bench, "stripe")
    event = {**delivery.event, "api_version": "2011-01-01", "data": {"object": "pi_1"}}
    body = json.dumps(event).encode()
    old = replace(delivery, body=body, headers=_stripe_headers(body, SECRET))
    assert bench.post(old).status_code == 200
    bench.handle([old.id])
    assert bench.status(old) is WebhookStatus.UNREADABLE


@pytest.mark.parametrize("name", ["Id", "Time", "Sig"])
def test_a_missing_paypal_header_is_refused(bench: WebhookWorkbench, name: str) -> None:
    delivery = _charge_webhook(bench, "paypal")
    left = {
        given: text
        for given, text in delivery.headers.items()
        if given.lower() != f"paypal-transmission-{name}".lower()
    }
    bare = replace(delivery, headers=left)
    _refuses(bench, delivery, 400, "malformed", lambda: bench.post(bare))


def test_a_webhook_for_another_paypal_endpoint_is_refused(
    bench: WebhookWorkbench,
) -> None:
    delivery = _charge_webhook(bench, "paypal")
    url = delivery.headers["PAYPAL-CERT-URL"]
    other = bench.receivers["stripe"].url
    target = {"url": other, "secret": "WH-OF-ANOTHER-ACCOUNT"}
    assert bench.work.paypal.post("/_webhooks", target).status_code == 201
    bench.receivers["stripe"].received.clear()
    bench.work.step(bench.work.pay("paypal"))
    [foreign, *_] = bench.all_deliveries("stripe", 1)
    assert foreign.headers["PAYPAL-CERT-URL"] == url, "the same key has signed it"
    foreign = replace(foreign, provider="paypal")
    _refuses(bench, delivery, 401, "signature", lambda: bench.post(foreign))


@pytest.mark.parametrize(
    "url", ["https://paypal.example", "http://127.0.0.1:9", "https://api.paypal.com"]
)
def test_a_certificate_on_another_host_is_refused(
    bench: WebhookWorkbench, url: str
) -> None:
    delivery = _charge_webhook(bench, "paypal")
    key, _ = Authority.new().issue()
    headers = signed(key, delivery.body, url=url + PATH, webhook_id=WEBHOOK_ID)
    other = replace(delivery, headers=headers)
    _refuses(bench, delivery, 400, "certificate_host", lambda: bench.post(other))


def test_a_certificate_url_with_a_tab_is_refused(bench: WebhookWorkbench) -> None:
    delivery = _charge_webhook(bench, "paypal")
    address = delivery.headers["PAYPAL-CERT-URL"].replace("CERT-", "CERT-\t")
    other = replace(delivery, headers={**delivery.headers, "PAYPAL-CERT-URL": address})
    _refuses(bench, delivery, 400, "certificate_address", lambda: bench.post(other))


def test_a_certificate_that_cannot_be_fetched_is_refused_for_now(
    bench: WebhookWorkbench,
) -> None:
    delivery = _charge_webhook(bench, "paypal")
    address = delivery.headers["PAYPAL-CERT-URL"].rpartition("/")[0] + "/CERT-none"
    other = replace(delivery, headers={**delivery.headers, "PAYPAL-CERT-URL": address})
    why = "certificate_unavailable"
    _refuses(bench, delivery, 503, why, lambda: bench.post(other))


def test_a_signed_webhook_is_accepted_during_a_flood_of_forged_ones(
    bench: WebhookWorkbench,
) -> None:
    """Each forged webhook names another certificate; few are fetched."""
    delivery = _charge_webhook(bench, "paypal")
    assert bench.post(delivery).status_code == 200, "its certificate is known"
    before = _fetches(bench.work.paypal)
    address = delivery.headers["PAYPAL-CERT-URL"]
    for number in range(4 * FETCHES_A_MINUTE):
        forged = {**delivery.headers, "PAYPAL-CERT-URL": f"{address}{number}"}
        assert bench.post(replace(delivery, headers=forged)).status_code == 503
        if number % 10 == 0:
            assert bench.post(delivery).status_code == 200
    assert 0 < _fetches(bench.work.paypal) - before <= FETCHES_A_MINUTE


def test_a_first_webhook_is_accepted_during_a_flood_of_another_sender(
    bench: WebhookWorkbench,
) -> None:
    """No certificate is known yet, and the forged webhooks come first."""
    delivery = _charge_webhook(bench, "paypal")
    address = delivery.headers["PAYPAL-CERT-URL"]
    settings = replace(bench.work.settings, trusted_proxies="127.0.0.0/8")
    with served(settings, bench.clock) as base:
        flooded = replace(bench, base=base)
        for number in range(2 * FETCHES_A_MINUTE):
            forged = {**delivery.headers, "PAYPAL-CERT-URL": f"{address}{number}"}
            spoof = {"X-Forwarded-For": f"9.9.9.{number}, 203.0.113.7"}
            answer = flooded.post(replace(delivery, headers=forged), **spoof)
            assert answer.status_code == 503, answer.text
        theirs = {"X-Forwarded-For": "173.0.84.10"}
        assert flooded.post(delivery, **theirs).status_code == 200


def _fetches(simulated: Simulator) -> float:
    """How often the simulator was asked for a certificate that it does not have."""
    text = requests.get(f"{simulated.url}/metrics", timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "simulator_requests_total"
        and (sample.labels["method"], sample.labels["status"]) == ("GET", "401")
    )


def test_an_expired_certificate_is_refused(bench: WebhookWorkbench) -> None:
    authority = Authority.new()
    key, chain = authority.issue(until=timedelta(days=-1))
    _refuses_certificate(bench, key, chain, trusted=authority)


def test_a_certificate_of_another_authority_is_refused(bench: WebhookWorkbench) -> None:
    key, chain = Authority.new().issue()
    _refuses_certificate(bench, key, chain, trusted=Authority.new())


def _refuses_certificate(
    bench: WebhookWorkbench,
    key: rsa.RSAPrivateKey,
    chain: bytes,
    *,
    trusted: Authority,
) -> None:
    """Asserts that a process that trusts ``trusted`` refuses this certificate."""
    delivery, settings = _charge_webhook(bench, "paypal"), bench.work.settings
    assert settings.paypal_roots is not None
    settings.paypal_roots.write_bytes(trusted.pem())
    with serving(chain) as paypal:
        headers = signed(key, delivery.body, url=paypal + PATH, webhook_id=WEBHOOK_ID)
        changed = replace(settings, paypal_api_base=paypal)
        with served(changed, bench.clock) as base:
            other = replace(bench, base=base)
            given = replace(delivery, headers=headers)
            _refuses(bench, delivery, 401, "certificate", lambda: other.post(given))


def test_a_too_large_webhook_is_refused(bench: WebhookWorkbench, provider: str) -> None:
    delivery = _charge_webhook(bench, provider)
    for more in (1, 100_000):
        large = replace(delivery, body=b"x" * (1024 * 1024 + more))
        _refuses(bench, delivery, 400, "too_large", lambda: bench.post(large))


def _stripe_headers(body: bytes, secret: str) -> dict[str, str]:
    at = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return {"Stripe-Signature": f"t={at},v1={signature.hexdigest()}"}
