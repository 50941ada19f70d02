"""What is not the provider's, or not for us: refused, counted, and nothing changes."""

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
    HearingBench,
    Told,
    drops,
    refused,
    served,
)

#: What Stripe and PayPal tell of a charge.
_TYPES = {"stripe": "payment_intent.succeeded", "paypal": "PAYMENT.CAPTURE.COMPLETED"}


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)


def _told(bench: HearingBench, provider: str) -> Told:
    """News of a charge whose answer was lost."""
    payment_id = bench.work.pay(provider)
    bench.work.lose_answer(provider)
    bench.work.step(payment_id)
    told = bench.told(provider, _TYPES[provider])
    return next(one for one in told if one.type == _TYPES[provider])


def _refuses(
    bench: HearingBench,
    told: Told,
    status: int,
    why: str,
    give: Callable[[], requests.Response],
) -> None:
    payments = list(bench.work.database.payments.find())
    before = refused(told.provider)
    answer = give()
    assert answer.status_code == status, answer.text
    assert answer.json()["reason"] == why
    assert refused(told.provider).get(why, 0) == before.get(why, 0) + 1
    assert bench.work.database.webhooks.count_documents({}) == 0
    assert list(bench.work.database.payments.find()) == payments


def test_what_the_provider_sent_is_taken_and_kept_sealed(
    bench: HearingBench, provider: str
) -> None:
    told = _told(bench, provider)
    assert bench.give(told).json() == {"received": True}
    assert bench.give(told).json() == {"received": True}
    [kept] = bench.work.database.webhooks.find()
    assert kept["_id"] == told.id
    assert told.body[:40] not in kept["body"]
    [found] = bench.inbox.load([told.id])
    assert found.body.encode() == told.body


def test_altered(bench: HearingBench, provider: str) -> None:
    told = _told(bench, provider)
    altered = replace(told, body=told.body.replace(b"1999", b"9999"))
    altered = replace(altered, body=altered.body + b" ")
    _refuses(bench, told, 401, "signature", lambda: bench.give(altered))


def test_stale(bench: HearingBench, provider: str) -> None:
    told = _told(bench, provider)
    bench.clock.ahead = timedelta(seconds=302)
    _refuses(bench, told, 400, "stale", lambda: bench.give(told))
    bench.clock.ahead = timedelta(seconds=-302)
    _refuses(bench, told, 400, "stale", lambda: bench.give(told))
    bench.clock.ahead = timedelta(seconds=280)
    assert bench.give(told).status_code == 200


@pytest.mark.parametrize("header", ["", "t=1", "v1=00", "t=x,v1=00", "t=1,t=2,v1=0"])
def test_a_header_of_stripes_that_is_none(bench: HearingBench, header: str) -> None:
    told = replace(_told(bench, "stripe"), headers={})
    given = {"Stripe-Signature": header} if header else {}
    _refuses(bench, told, 400, "malformed", lambda: bench.give(told, **given))


def test_forged_at_stripe(bench: HearingBench) -> None:
    told = _told(bench, "stripe")
    forged = replace(told, headers=_stripe_headers(told.body, "whsec_guessed"))
    _refuses(bench, told, 401, "signature", lambda: bench.give(forged))


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
    bench: HearingBench, changed: dict[str, Any], why: str
) -> None:
    told = _told(bench, "stripe")
    body = json.dumps({**told.event, **changed}).encode()
    drops(bench, replace(told, body=body, headers=_stripe_headers(body, SECRET)), why)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"\xff", b"[" * 100_000])
def test_a_signed_body_that_is_no_event_is_answered_200_and_dropped(
    bench: HearingBench, body: bytes
) -> None:
    told = _told(bench, "stripe")
    odd = replace(told, body=body, headers=_stripe_headers(body, SECRET))
    drops(bench, odd, "malformed")


def test_a_signed_event_of_an_unknown_type_is_kept_and_ignored(
    bench: HearingBench,
) -> None:
    told = _told(bench, "stripe")
    event = {"object": "v2.core.event", "id": "evt_thin", "livemode": False}
    body = json.dumps({**event, "type": "v1.billing.meter.no_meter_found"}).encode()
    thin = replace(told, body=body, headers=_stripe_headers(body, SECRET))
    assert bench.give(thin).status_code == 200
    assert bench.fate(thin) is WebhookStatus.IGNORED


def test_an_object_of_another_api_version_is_kept_as_unreadable(
    bench: HearingBench,
) -> None:
    told = _told(bench, "stripe")
    event = {**told.event, "api_version": "2011-01-01", "data": {"object": "pi_1"}}
    body = json.dumps(event).encode()
    old = replace(told, body=body, headers=_stripe_headers(body, SECRET))
    assert bench.give(old).status_code == 200
    bench.handle([old.id])
    assert bench.fate(old) is WebhookStatus.UNREADABLE


@pytest.mark.parametrize("name", ["Id", "Time", "Sig"])
def test_a_header_of_paypals_that_is_missing(bench: HearingBench, name: str) -> None:
    told = _told(bench, "paypal")
    left = {
        given: text
        for given, text in told.headers.items()
        if given.lower() != f"paypal-transmission-{name}".lower()
    }
    bare = replace(told, headers=left)
    _refuses(bench, told, 400, "malformed", lambda: bench.give(bare))


def test_for_another_account_at_paypal(bench: HearingBench) -> None:
    told = _told(bench, "paypal")
    url = told.headers["PAYPAL-CERT-URL"]
    other = bench.receivers["stripe"].url
    target = {"url": other, "secret": "WH-OF-ANOTHER-ACCOUNT"}
    assert bench.work.paypal.post("/_webhooks", target).status_code == 201
    bench.receivers["stripe"].received.clear()
    bench.work.step(bench.work.pay("paypal"))
    [foreign, *_] = bench.all_told("stripe", 1)
    assert foreign.headers["PAYPAL-CERT-URL"] == url, "the same key has signed it"
    foreign = replace(foreign, provider="paypal")
    _refuses(bench, told, 401, "signature", lambda: bench.give(foreign))


@pytest.mark.parametrize(
    "url", ["https://paypal.example", "http://127.0.0.1:9", "https://api.paypal.com"]
)
def test_a_certificate_of_paypals_from_another_host(
    bench: HearingBench, url: str
) -> None:
    told = _told(bench, "paypal")
    key, _ = Authority.new().vouches()
    headers = signed(key, told.body, url=url + PATH, webhook_id=WEBHOOK_ID)
    other = replace(told, headers=headers)
    _refuses(bench, told, 400, "certificate_host", lambda: bench.give(other))


def test_a_certificates_address_with_a_tab_in_it(bench: HearingBench) -> None:
    told = _told(bench, "paypal")
    address = told.headers["PAYPAL-CERT-URL"].replace("CERT-", "CERT-\t")
    other = replace(told, headers={**told.headers, "PAYPAL-CERT-URL": address})
    _refuses(bench, told, 400, "certificate_address", lambda: bench.give(other))


def test_a_certificate_of_paypals_that_cannot_be_fetched(bench: HearingBench) -> None:
    told = _told(bench, "paypal")
    address = told.headers["PAYPAL-CERT-URL"].rpartition("/")[0] + "/CERT-none"
    other = replace(told, headers={**told.headers, "PAYPAL-CERT-URL": address})
    why = "certificate_unavailable"
    _refuses(bench, told, 503, why, lambda: bench.give(other))


def test_a_signed_webhook_is_taken_during_a_flood_of_forged_ones(
    bench: HearingBench,
) -> None:
    """Each names another certificate; few of them are fetched."""
    told = _told(bench, "paypal")
    assert bench.give(told).status_code == 200, "its certificate is known"
    before = _fetches(bench.work.paypal)
    address = told.headers["PAYPAL-CERT-URL"]
    for number in range(4 * FETCHES_A_MINUTE):
        forged = {**told.headers, "PAYPAL-CERT-URL": f"{address}{number}"}
        assert bench.give(replace(told, headers=forged)).status_code == 503
        if number % 10 == 0:
            assert bench.give(told).status_code == 200
    assert 0 < _fetches(bench.work.paypal) - before <= FETCHES_A_MINUTE


def test_a_first_webhook_is_taken_during_a_flood_of_another_sender(
    bench: HearingBench,
) -> None:
    """No certificate is known yet, and the forger comes before the provider."""
    told = _told(bench, "paypal")
    address = told.headers["PAYPAL-CERT-URL"]
    settings = replace(bench.work.settings, trusted_proxies="127.0.0.0/8")
    with served(settings, bench.clock) as base:
        flooded = replace(bench, base=base)
        for number in range(2 * FETCHES_A_MINUTE):
            forged = {**told.headers, "PAYPAL-CERT-URL": f"{address}{number}"}
            spoof = {"X-Forwarded-For": f"9.9.9.{number}, 203.0.113.7"}
            answer = flooded.give(replace(told, headers=forged), **spoof)
            assert answer.status_code == 503, answer.text
        theirs = {"X-Forwarded-For": "173.0.84.10"}
        assert flooded.give(told, **theirs).status_code == 200


def _fetches(simulated: Simulator) -> float:
    """How often the simulator, whom nobody told who asks, had no certificate."""
    text = requests.get(f"{simulated.url}/metrics", timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "simulator_requests_total"
        and (sample.labels["method"], sample.labels["status"]) == ("GET", "401")
    )


def test_a_certificate_of_paypals_that_has_expired(bench: HearingBench) -> None:
    authority = Authority.new()
    key, chain = authority.vouches(until=timedelta(days=-1))
    _refuses_certificate(bench, key, chain, trusted=authority)


def test_a_certificate_of_paypals_with_another_root(bench: HearingBench) -> None:
    key, chain = Authority.new().vouches()
    _refuses_certificate(bench, key, chain, trusted=Authority.new())


def _refuses_certificate(
    bench: HearingBench,
    key: rsa.RSAPrivateKey,
    chain: bytes,
    *,
    trusted: Authority,
) -> None:
    """A web process whose PayPal has this certificate, and which trusts ``trusted``."""
    told, settings = _told(bench, "paypal"), bench.work.settings
    assert settings.paypal_roots is not None
    settings.paypal_roots.write_bytes(trusted.pem())
    with serving(chain) as paypal:
        headers = signed(key, told.body, url=paypal + PATH, webhook_id=WEBHOOK_ID)
        changed = replace(settings, paypal_api_base=paypal)
        with served(changed, bench.clock) as base:
            other = replace(bench, base=base)
            given = replace(told, headers=headers)
            _refuses(bench, told, 401, "certificate", lambda: other.give(given))


def test_too_large_a_body(bench: HearingBench, provider: str) -> None:
    told = _told(bench, provider)
    for more in (1, 100_000):
        large = replace(told, body=b"x" * (1024 * 1024 + more))
        _refuses(bench, told, 400, "too_large", lambda: bench.give(large))


def _stripe_headers(body: bytes, secret: str) -> dict[str, str]:
    at = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return {"Stripe-Signature": f"t={at},v1={signature.hexdigest()}"}
