"""Webhooks: signed so that a receiver written for the real providers accepts them."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
import requests
import stripe
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from tests.support.simulator_process import (
    CHARGE,
    PATIENCE,
    PayPalCaller,
    Receiver,
    eventually,
    simulator,
)

#: Events of one charge, in the order they are made.
CHARGE_EVENTS = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
]


def test_stripes_own_library_accepts_the_signature(receiver: Receiver) -> None:
    secret = "whsec_of_the_test"
    options = ("--webhook-url", receiver.url, "--webhook-secret", secret)
    with simulator("stripe", *options) as running:
        # The clock of the simulator must not make signatures look old.
        running.advance(90_000)
        running.stripe("POST", "/v1/payment_intents", CHARGE, merchant="sk_test_w")
        eventually(lambda: len(receiver.received) == 3, "three webhooks arrive")
        assert sorted(receiver.types()) == sorted(CHARGE_EVENTS)
        for headers, body in receiver.received:
            signature = headers["Stripe-Signature"]
            event = stripe.Webhook.construct_event(body, signature, secret)
            assert event.data.object["amount"] == 1999
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(body, signature, "whsec_other")


def test_a_webhook_is_sent_again_until_it_is_accepted(receiver: Receiver) -> None:
    receiver.statuses = [500, 503, 200]
    with simulator("stripe", "--webhook-url", receiver.url) as running:
        form = {"amount": "1999", "currency": "usd"}
        running.stripe("POST", "/v1/payment_intents", form, merchant="sk_test_w")
        eventually(lambda: len(receiver.received) == 3, "two tries fail, one is taken")
        assert len({body for _, body in receiver.received}) == 1

        def delivered() -> bool:
            [delivery] = running.get("/_webhooks")["deliveries"]
            return (delivery["state"], delivery["tries"]) == ("delivered", 3)

        eventually(delivered, "the delivery is listed as delivered")


def test_webhooks_come_twice_late_out_of_order_or_not_at_all(
    receiver: Receiver,
) -> None:
    with simulator("stripe") as running:
        target = {"url": receiver.url, "secret": "whsec_x"}
        assert running.post("/_webhooks", target).status_code == 201

        def charge_with(how: str, **fault: object) -> list[str]:
            running.heal()
            receiver.received.clear()
            running.arm(do="webhooks", how=how, **fault)
            running.stripe("POST", "/v1/payment_intents", CHARGE, merchant="sk_test_w")
            return CHARGE_EVENTS

        expected = charge_with("double", times=3)
        eventually(lambda: len(receiver.received) == 6, "each comes twice")
        assert sorted(receiver.types()) == sorted(expected * 2)
        expected = charge_with("drop", times=2)
        eventually(lambda: receiver.received, "the third comes")
        assert receiver.types() == expected[2:]
        expected = charge_with("reorder", times=3)
        eventually(lambda: len(receiver.received) == 3, "all come")
        assert receiver.types() == expected[::-1]
        states = [each["state"] for each in running.get("/_webhooks")["deliveries"]]
        assert states.count("dropped") == 2
        charge_with("delay", times=1, seconds=0.3)
        eventually(lambda: len(receiver.received) == 3, "the late one comes too")
        assert receiver.types()[-1] == "payment_intent.created"


@pytest.mark.parametrize("body", [{}, {"url": "ftp://x"}, {"url": "x"}, []])
def test_a_webhook_target_must_be_a_url(body: object) -> None:
    with simulator("stripe") as running:
        assert running.post("/_webhooks", body).status_code == 400


def test_paypals_signature_is_verified_up_to_the_root(receiver: Receiver) -> None:
    options = ("--webhook-url", receiver.url, "--webhook-secret", "WH-OF-THE-TEST")
    with simulator("paypal", *options) as running:
        paypal = PayPalCaller(running)
        assert paypal.order().status_code == 201
        eventually(lambda: len(receiver.received) == 2, "the webhooks arrive")
        deliveries = dict(zip(receiver.types(), receiver.received, strict=True))
        headers, body = deliveries["PAYMENT.CAPTURE.COMPLETED"]
        sent = {name.upper(): value for name, value in headers.items()}

        root = requests.get(running.url + "/_root.pem", timeout=PATIENCE).content
        chain = requests.get(sent["PAYPAL-CERT-URL"], timeout=PATIENCE).content
        leaf, *between = x509.load_pem_x509_certificates(chain)
        verifier = (
            PolicyBuilder()
            .store(Store([x509.load_pem_x509_certificate(root)]))
            .build_server_verifier(x509.DNSName("messageverificationcerts.paypal.com"))
        )
        assert len(verifier.verify(leaf, between)) == 3

        key = leaf.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        signature = b64decode(sent["PAYPAL-TRANSMISSION-SIG"])
        at = sent["PAYPAL-TRANSMISSION-TIME"]
        assert datetime.now(UTC) - datetime.fromisoformat(at) < timedelta(minutes=1)

        def verify(webhook_id: str) -> None:
            parts = (sent["PAYPAL-TRANSMISSION-ID"], at, webhook_id, zlib.crc32(body))
            message = "|".join(map(str, parts)).encode()
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())

        verify("WH-OF-THE-TEST")
        with pytest.raises(InvalidSignature):
            verify("WH-ANOTHER")

        asked = {
            "auth_algo": sent["PAYPAL-AUTH-ALGO"],
            "cert_url": sent["PAYPAL-CERT-URL"],
            "transmission_id": sent["PAYPAL-TRANSMISSION-ID"],
            "transmission_sig": sent["PAYPAL-TRANSMISSION-SIG"],
            "transmission_time": at,
            "webhook_id": "WH-OF-THE-TEST",
            "webhook_event": json.loads(body),
        }
        path = "/v1/notifications/verify-webhook-signature"
        answer = paypal.call("POST", path, asked).json()
        assert answer == {"verification_status": "SUCCESS"}
        answer = paypal.call("POST", path, asked | {"webhook_id": "WH-X"}).json()
        assert answer == {"verification_status": "FAILURE"}


def test_a_rolled_secret_signs_beside_the_old_one(receiver: Receiver) -> None:
    with simulator("stripe", "--webhook-url", receiver.url) as running:
        rolling = {
            "url": receiver.url,
            "secret": "whsec_new",
            "old_secret": "whsec_old",
        }
        assert running.post("/_webhooks", rolling).status_code == 201
        form = {"amount": "1999", "currency": "usd"}
        running.stripe("POST", "/v1/payment_intents", form, merchant="sk_test_w")
        eventually(lambda: receiver.received, "the webhook arrives")
        headers, body = receiver.received[0]
        signature = headers["Stripe-Signature"]
        assert signature.count("v1=") == 2
        for secret in ("whsec_new", "whsec_old"):
            stripe.Webhook.construct_event(body, signature, secret)
        rolled = {"url": receiver.url, "secret": "whsec_new"}
        assert running.post("/_webhooks", rolled).status_code == 201
        running.stripe("POST", "/v1/payment_intents", form, merchant="sk_test_w")
        eventually(lambda: len(receiver.received) == 2, "the next one arrives")
        headers, body = receiver.received[1]
        with pytest.raises(stripe.SignatureVerificationError):
            signature = headers["Stripe-Signature"]
            stripe.Webhook.construct_event(body, signature, "whsec_old")


def test_paypal_has_no_secret_to_roll(receiver: Receiver) -> None:
    with simulator("paypal") as running:
        target = {"url": receiver.url, "secret": "WH-1", "old_secret": "WH-0"}
        answer = running.post("/_webhooks", target)
        assert answer.status_code == 400 and "old_secret" in answer.json()["error"]


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_a_stored_event_can_be_sent_again(receiver: Receiver, provider: str) -> None:
    with simulator(provider) as running:
        if provider == "stripe":
            form = {"amount": "1999", "currency": "usd"}
            running.stripe("POST", "/v1/payment_intents", form, merchant="sk_test_w")
            path = "/v1/events"
            listed = running.stripe("GET", path, merchant="sk_test_w").json()["data"]
            [id] = [event["id"] for event in listed]
            running.post("/_webhooks", {"url": receiver.url})
        else:
            running.post("/_webhooks", {"url": receiver.url})
            PayPalCaller(running).order()
            eventually(lambda: receiver.received, "the first one arrives")
            id = json.loads(receiver.received[0][1])["id"]

        def copies() -> list[bytes]:
            bodies = [body for _, body in list(receiver.received)]
            return [body for body in bodies if json.loads(body)["id"] == id]

        before = len(copies())
        answer = running.post("/_webhooks/resend", {"event_id": id})
        assert (answer.status_code, answer.json()) == (202, {"targets": 1})
        eventually(lambda: len(copies()) == before + 1, "it arrives again")
        assert len(set(copies())) == 1
        for wrong in ({"event_id": "evt_nobody"}, {"event_id": 7}, {}):
            assert running.post("/_webhooks/resend", wrong).status_code == 400
