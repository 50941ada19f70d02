"""Verifies and parses PayPal's webhooks."""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from domain.account import Account
from domain.errors import (
    UnreadableWebhook,
    WebhookDropped,
    WebhookNotTrusted,
    WebhookRefused,
)
from domain.payments.answer import Verdict
from domain.payments.dispute import DisputeUpdate
from domain.payments.operation import Kind
from domain.webhook_refusals import WebhookRefusal
from domain.webhooks import ObjectUpdate, Webhook
from providers.paypal.certificates import Certificates
from providers.paypal.objects import CAPTURES, ORDERS, parent_id
from providers.sanitize import (
    MALFORMED,
    parse_json,
    parse_optional,
    parse_own_id,
    validated_id,
)

#: Allowed difference between a transmission's time and ours: as for Stripe.
TOLERANCE: Final = timedelta(seconds=300)
_ALGORITHM: Final = "SHA256withRSA"
#: The signed headers, for the documentation; ``_header`` reads their values.
HEADERS: Final = dict.fromkeys(
    (
        *("PayPal-Transmission-Id", "PayPal-Transmission-Time"),
        *("PayPal-Transmission-Sig", "PayPal-Cert-Url", "PayPal-Auth-Algo"),
    ),
    "^.+$",
)
#: Longest header in characters; a signature of 4096 bits has 684.
_MAX_HEADER: Final = 2048

#: The kind of object of each event type.
_OBJECTS: Final = {
    "CHECKOUT.ORDER.APPROVED": "order",
    "CHECKOUT.ORDER.COMPLETED": "order",
    "PAYMENT.AUTHORIZATION.CREATED": "authorization",
    "PAYMENT.AUTHORIZATION.VOIDED": "authorization",
    "PAYMENT.CAPTURE.COMPLETED": "capture",
    "PAYMENT.CAPTURE.DECLINED": "capture",
    "PAYMENT.CAPTURE.DENIED": "capture",
    "PAYMENT.CAPTURE.PENDING": "capture",
    "PAYMENT.CAPTURE.REFUNDED": "refund",
    "PAYMENT.REFUND.FAILED": "refund",
    "PAYMENT.REFUND.PENDING": "refund",
}
#: The field with the id to read after each event: a dispute's, or that of the refund by
#: which PayPal reversed a capture.
_DISPUTE_EVENTS: Final = {
    "CUSTOMER.DISPUTE.CREATED": "dispute_id",
    "CUSTOMER.DISPUTE.UPDATED": "dispute_id",
    "CUSTOMER.DISPUTE.RESOLVED": "dispute_id",
    "PAYMENT.CAPTURE.REVERSED": "id",
}
_KINDS: Final = {
    "order": frozenset({Kind.CHARGE, Kind.AUTHORIZE}),
    "authorization": frozenset({Kind.AUTHORIZE}),
    "capture": frozenset({Kind.CHARGE, Kind.CAPTURE}),
    "refund": frozenset({Kind.REFUND}),
}
#: The verdict of each object's status. A completed order has none: it proves nothing.
_VERDICTS: Final[Mapping[tuple[str, str], Verdict]] = {
    ("order", "APPROVED"): Verdict.APPROVED,
    ("order", "VOIDED"): Verdict.CANCELED,
    ("authorization", "CREATED"): Verdict.SUCCEEDED,
    ("authorization", "PARTIALLY_CAPTURED"): Verdict.SUCCEEDED,
    ("authorization", "CAPTURED"): Verdict.SUCCEEDED,
    ("authorization", "PENDING"): Verdict.PENDING,
    ("authorization", "DENIED"): Verdict.DECLINED,
    ("authorization", "VOIDED"): Verdict.CANCELED,
    ("capture", "COMPLETED"): Verdict.SUCCEEDED,
    ("capture", "PARTIALLY_REFUNDED"): Verdict.SUCCEEDED,
    ("capture", "REFUNDED"): Verdict.SUCCEEDED,
    ("capture", "PENDING"): Verdict.PENDING,
    ("capture", "DECLINED"): Verdict.DECLINED,
    ("capture", "FAILED"): Verdict.DECLINED,
    ("refund", "COMPLETED"): Verdict.SUCCEEDED,
    ("refund", "PENDING"): Verdict.PENDING,
    ("refund", "FAILED"): Verdict.DECLINED,
    ("refund", "CANCELLED"): Verdict.CANCELED,
}


class PayPalWebhooks:
    """The WebhookVerifier of a PayPal endpoint.

    ``webhook_id`` is PayPal's id of the endpoint. Each signature contains it, so events
    of another account or mode have no valid signature here.
    """

    #: The types that are handled; webhooks of other types are only stored.
    event_types = frozenset(_OBJECTS) | frozenset(_DISPUTE_EVENTS)

    def __init__(
        self, account: Account, *, webhook_id: str, certificates: Certificates
    ) -> None:
        self._account = account
        self._webhook_id = webhook_id
        self._certificates = certificates

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        sender: str | None = None,
    ) -> Webhook:
        """Verifies by developer.paypal.com/api/rest/webhooks/rest."""
        if not self._webhook_id:
            raise WebhookNotTrusted(WebhookRefusal.NOT_SET_UP)
        transmission, at = _header(headers, "id"), _header(headers, "time")
        if _header(headers, "auth-algo", "paypal") != _ALGORITHM:
            raise WebhookRefused(WebhookRefusal.MALFORMED)
        try:
            signature = b64decode(_header(headers, "sig"), validate=True)
            sent_at = datetime.fromisoformat(at)
        except ValueError:
            raise WebhookRefused(WebhookRefusal.MALFORMED) from None
        if abs(now - _utc(sent_at)) > TOLERANCE:
            raise WebhookRefused(WebhookRefusal.STALE)
        url = _header(headers, "cert-url", "paypal")
        key = self._certificates.fetch_key(url, now=now, sender=sender)
        signed = f"{transmission}|{at}|{self._webhook_id}|{zlib.crc32(body)}"
        try:
            key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise WebhookNotTrusted(WebhookRefusal.SIGNATURE) from None
        try:
            event = parse_json(body)
            name, kind = validated_id(event["id"]), validated_id(event["event_type"])
        except MALFORMED:
            raise WebhookDropped(WebhookRefusal.MALFORMED) from None
        text = body.decode(errors="replace")
        return Webhook(self._account, name, kind, text, received_at=now)


def parse_event(webhook: Webhook) -> ObjectUpdate | DisputeUpdate | None:
    """Parses a verified webhook; None if its type is not handled.

    Raises UnreadableWebhook.
    """
    if webhook.type not in PayPalWebhooks.event_types:
        return None
    try:
        found: dict[str, Any] = parse_json(webhook.body.encode())["resource"]
        field = _DISPUTE_EVENTS.get(webhook.type)
        if field is not None:
            ref = validated_id(found[field])
            return DisputeUpdate(webhook.account, ref, is_reversal=field == "id")
        kind = _OBJECTS[webhook.type]
        refs = {kind: validated_id(found["id"])}
        order = _order_id(found)
        if order is not None and kind in ("authorization", "capture"):
            refs["order"] = validated_id(order)
        [unit] = found["purchase_units"] if kind == "order" else [found]
        payment, operation = map(
            parse_own_id, (unit.get("custom_id"), unit.get("invoice_id"))
        )
        verdict = _VERDICTS.get((kind, found["status"]))
        parent = parent_id(found, CAPTURES) if kind == "refund" else None
    except MALFORMED:
        raise UnreadableWebhook from None
    return ObjectUpdate(
        event=webhook.event,
        type=webhook.type,
        kinds=_KINDS[kind],
        payment=payment,
        operations=() if operation is None else (operation,),
        refs=refs,
        verdict=verdict,
        parent_ref=parse_optional(validated_id, parent),
    )


def _order_id(found: Mapping[str, Any]) -> Any:
    """The order of an authorization or a capture, or None."""
    related = (found.get("supplementary_data") or {}).get("related_ids") or {}
    if "order_id" in related:
        return related["order_id"]
    return parent_id(found, ORDERS)


def _header(
    headers: Mapping[str, str], name: str, prefix: str = "paypal-transmission"
) -> str:
    """One of the five headers. Raises WebhookRefused."""
    value = headers.get(f"{prefix}-{name}", "")
    if not value or len(value) > _MAX_HEADER or not value.isascii():
        raise WebhookRefused(WebhookRefusal.MALFORMED)
    return value


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
