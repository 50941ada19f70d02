"""Verifies and parses Stripe's webhooks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from domain.account import Account
from domain.errors import (
    InvalidPayment,
    UnreadableWebhook,
    WebhookDropped,
    WebhookNotTrusted,
    WebhookRefused,
)
from domain.payments.answer import Verdict
from domain.payments.dispute import DisputeUpdate
from domain.payments.operation import Kind
from domain.payments.submission import Mode
from domain.webhook_refusals import WebhookRefusal
from domain.webhooks import ObjectUpdate, Webhook
from providers.amounts import from_stripe
from providers.sanitize import (
    MALFORMED,
    parse_json,
    parse_optional,
    parse_own_id,
    validated_id,
)

#: Allowed difference in seconds between a signature's time and ours: the same as in
#: Stripe's libraries (docs.stripe.com/webhooks#replay-attacks).
TOLERANCE: Final = 300
#: The signed headers, for the documentation; ``_parse_signature`` reads the value.
HEADERS: Final = {"Stripe-Signature": r"^t=[0-9]{1,12},v1=[0-9a-f]{64}$"}
#: Characters read of a signature header: dozens of signatures.
_MAX_HEADER: Final = 4096
_REFUNDS: Final = frozenset({Kind.REFUND})
_INTENTS: Final = frozenset({Kind.CHARGE, Kind.AUTHORIZE, Kind.CAPTURE})

#: The verdict of each event type; None: the object's status decides.
_VERDICTS: Final[Mapping[str, Verdict | None]] = {
    "payment_intent.amount_capturable_updated": Verdict.SUCCEEDED,
    "payment_intent.canceled": Verdict.CANCELED,
    "payment_intent.payment_failed": Verdict.DECLINED,
    "payment_intent.processing": Verdict.PENDING,
    "payment_intent.requires_action": Verdict.ACTION_REQUIRED,
    "payment_intent.succeeded": Verdict.SUCCEEDED,
    "charge.refund.updated": None,
    "refund.created": None,
    "refund.failed": None,
    "refund.updated": None,
}
#: The event types after which the dispute is read.
_DISPUTES: Final = frozenset(
    f"charge.dispute.{change}"
    for change in (
        *("created", "updated", "funds_withdrawn", "funds_reinstated", "closed"),
    )
)
#: The verdict of each status of a refund.
_REFUND: Final = {
    "pending": Verdict.PENDING,
    "requires_action": Verdict.ACTION_REQUIRED,
    "succeeded": Verdict.SUCCEEDED,
    "failed": Verdict.DECLINED,
    "canceled": Verdict.CANCELED,
}


class StripeWebhooks:
    """The WebhookVerifier of a Stripe endpoint.

    ``secrets`` are the endpoint's signing secrets: two during a rotation. ``whose``
    returns our account for the connected account that an event names; only Connect's
    events name one. It raises WebhookDropped for an unknown account.
    """

    #: The types that are handled; webhooks of other types are only stored.
    event_types = frozenset(_VERDICTS) | _DISPUTES

    def __init__(
        self,
        whose: Callable[[str | None], Account],
        *,
        secrets: Sequence[str],
        mode: Mode,
    ) -> None:
        self._whose = whose
        self._secrets = [secret.encode() for secret in secrets]
        self._live = mode is Mode.LIVE

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        sender: str | None = None,
    ) -> Webhook:
        if not self._secrets:
            raise WebhookNotTrusted(WebhookRefusal.NOT_SET_UP)
        at, signatures = _parse_signature(headers.get("stripe-signature"))
        if not any(
            _compare_signatures(self._expected_signatures(at, body), signatures)
        ):
            raise WebhookNotTrusted(WebhookRefusal.SIGNATURE)
        if abs(now.timestamp() - int(at)) > TOLERANCE:
            raise WebhookRefused(WebhookRefusal.STALE)
        try:
            event = parse_json(body)
            name, kind = validated_id(event["id"]), validated_id(event["type"])
            live, account = event["livemode"], event.get("account")
            named = None if account is None else validated_id(account)
        except MALFORMED:
            raise WebhookDropped(WebhookRefusal.MALFORMED) from None
        if live is not self._live:
            raise WebhookDropped(WebhookRefusal.ANOTHER_MODE)
        account = self._whose(named)
        text = body.decode(errors="replace")
        return Webhook(account, name, kind, text, received_at=now)

    def _expected_signatures(self, at: str, body: bytes) -> list[str]:
        """The signature by each secret (docs.stripe.com/webhooks#verify-manually)."""
        signed = at.encode() + b"." + body
        return [
            hmac.new(secret, signed, hashlib.sha256).hexdigest()
            for secret in self._secrets
        ]


def parse_event(webhook: Webhook) -> ObjectUpdate | DisputeUpdate | None:
    """Parses a verified webhook; None if its type is not handled.

    Raises UnreadableWebhook.
    """
    if webhook.type not in StripeWebhooks.event_types:
        return None
    try:
        found: dict[str, Any] = parse_json(webhook.body.encode())["data"]["object"]
        if webhook.type in _DISPUTES:
            return DisputeUpdate(webhook.account, validated_id(found["id"]))
        metadata = found.get("metadata")
        ours = metadata if isinstance(metadata, dict) else {}
        verdict, parent, captured = _VERDICTS[webhook.type], None, None
        if found["object"] == "refund":
            kinds, ids = _REFUNDS, [ours.get("operation")]
            refs = {"refund": validated_id(found["id"])}
            verdict = _REFUND.get(found["status"])
            parent = found.get("charge")
        else:
            kinds, ids = _INTENTS, [ours.get("capture"), ours.get("operation")]
            refs = {"payment_intent": validated_id(found["id"])}
            captured = _captured_amount(found)
    except MALFORMED:
        raise UnreadableWebhook from None
    return ObjectUpdate(
        event=webhook.event,
        type=webhook.type,
        kinds=kinds,
        payment=parse_own_id(ours.get("payment")),
        operations=tuple(one for one in map(parse_own_id, ids) if one is not None),
        refs=refs,
        verdict=verdict,
        parent_ref=parse_optional(validated_id, parent),
        captured=captured,
    )


def _captured_amount(intent: Mapping[str, Any]) -> int | None:
    """The captured amount (minor units) of an intent with manual capture, or None."""
    if intent.get("capture_method") != "manual":
        return None
    try:
        return from_stripe(intent["amount_received"], intent["currency"]).minor
    except (InvalidPayment, LookupError, TypeError, ValueError, AttributeError):
        return None


def _parse_signature(header: str | None) -> tuple[str, list[str]]:
    """The time and the signatures of a header ``t=…,v1=…``. Raises WebhookRefused."""
    parts = [part.partition("=") for part in (header or "")[:_MAX_HEADER].split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value for name, _, value in parts if name.strip() == "v1"]
    # Twelve digits are the year 33658.
    if len(times) != 1 or not signatures or not times[0].isascii():
        raise WebhookRefused(WebhookRefusal.MALFORMED)
    if not times[0].isdigit() or len(times[0]) > 12:
        raise WebhookRefused(WebhookRefusal.MALFORMED)
    return times[0], signatures


def _compare_signatures(
    expected: Iterable[str], given: Sequence[str]
) -> Iterable[bool]:
    """Compares each pair in constant time."""
    for one in expected:
        for signature in given:
            yield hmac.compare_digest(one.encode(), signature.encode())
