"""Check the parameters of Stripe requests as Stripe does, before anything happens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.calls import Json, length
from simulators.stripe.cards import (
    MAXIMUM,
    MAXIMUM_IN,
    MINIMUM,
    OTHER_CURRENCIES,
    THREE_DECIMAL,
    WHOLE_UNITS,
)
from simulators.stripe.errors import invalid

CONFIRM: Final = frozenset(
    "capture_method confirmation_token error_on_requires_action expand mandate "
    "mandate_data off_session payment_method payment_method_data "
    "payment_method_options payment_method_types radar_options receipt_email "
    "return_url setup_future_usage shipping use_stripe_sdk".split()
)
CREATE: Final = CONFIRM | frozenset(
    "amount amount_details application_fee_amount automatic_payment_methods confirm "
    "confirmation_method currency customer customer_account description "
    "excluded_payment_method_types hooks metadata on_behalf_of payment_details "
    "payment_method_configuration statement_descriptor statement_descriptor_suffix "
    "transfer_data transfer_group".split()
)
CAPTURE: Final = frozenset(
    "amount_details amount_to_capture application_fee_amount expand final_capture "
    "hooks metadata payment_details statement_descriptor statement_descriptor_suffix "
    "transfer_data".split()
)
REFUND: Final = frozenset(
    "amount charge currency customer expand instructions_email metadata origin "
    "payment_intent reason refund_application_fee reverse_transfer".split()
)
METHOD_TYPES: Final = frozenset(("card", "us_bank_account", "link", "paypal"))
#: Text fields that an intent shows unchanged, and the most characters of each.
TEXTS: Final = {
    "customer": 5000,
    "description": 1000,
    "receipt_email": 800,
    "statement_descriptor": 22,
    "statement_descriptor_suffix": 22,
    "transfer_group": 5000,
}
#: Metadata limits. Source: https://docs.stripe.com/metadata
MAX_METADATA: Final = 50
MAX_METADATA_KEY: Final = 40
MAX_METADATA_VALUE: Final = 500

_INTEGER: Final = re.compile(r"-?[0-9]{1,15}\Z")


@dataclass(slots=True)
class IntentParams:
    """The checked parameters of a create or confirm."""

    confirm: bool
    method: str | None
    off_session: bool
    return_url: str | None
    #: Whether an authorization should allow several captures, if the card can.
    multicapture: bool
    #: The later use of the saved method: on_session, off_session, or None.
    future: str | None
    types: list[str]
    #: The ``automatic_payment_methods`` object in answers; None with given types.
    automatic: Json | None
    #: Fields that the intent shows unchanged.
    fields: dict[str, Any] = field(default_factory=dict)


def read_intent(body: Json, known: frozenset[str]) -> IntentParams:
    """Check a create (``known`` is ``CREATE``) or a confirm. Raises ``Refused``."""
    check_known(body, known)
    types = _types(body.get("payment_method_types", []))
    params = IntentParams(
        confirm=flag(body, "confirm"),
        method=text(body, "payment_method", 5000),
        off_session=flag(body, "off_session") or flag(body, "error_on_requires_action"),
        return_url=text(body, "return_url", 5000),
        multicapture=_multicapture(body),
        future=_future(body),
        types=types,
        automatic=_automatic(body) if known is CREATE and not types else None,
    )
    if known is CREATE:
        params.fields = _fields(body)
        params.fields["return_url"] = params.return_url
        params.fields["setup_future_usage"] = params.future
    return params


def _fields(body: Json) -> dict[str, Any]:
    amount = amount_of(body, "amount", None)
    currency = _currency(body)
    _check_amount(amount, currency)
    capture = body.get("capture_method", "automatic")
    if capture not in ("automatic", "automatic_async", "manual"):
        raise invalid(
            "Invalid capture_method: must be one of automatic, automatic_async, or "
            "manual",
            "capture_method",
        )
    fields = {name: text(body, name, most) for name, most in TEXTS.items()}
    return fields | {
        "amount": amount,
        "currency": currency,
        "capture_method": capture,
        "metadata": metadata_of(body),
        "shipping": body.get("shipping"),
    }


def check_known(body: Json, known: frozenset[str]) -> None:
    """Raise ``Refused`` for the first parameter that does not exist."""
    for name in body:
        if name not in known:
            raise invalid(
                f"Received unknown parameter: {name}", name, code="parameter_unknown"
            )


def amount_of(body: Json, name: str, default: int | None) -> int:
    """Return a positive amount in minor units. Raises ``Refused``."""
    value = body.get(name)
    if value is None and default is not None:
        return default
    if value is None or value == "":
        raise invalid(
            f"Missing required param: {name}.", name, code="parameter_missing"
        )
    if not isinstance(value, str) or not _INTEGER.match(value):
        raise invalid(
            f"Invalid integer: {value}", name, code="parameter_invalid_integer"
        )
    amount = int(value)
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.",
            name,
            code="parameter_invalid_integer",
        )
    return amount


def text(body: Json, name: str, most: int) -> str | None:
    """Return a string of at most ``most`` characters, or None. Raises ``Refused``."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", name)
    if length(value) > most:
        raise invalid(
            f"Invalid {name}: must be at most {most} characters",
            name,
            code="parameter_invalid_string_length",
        )
    return value


def flag(body: Json, name: str, default: bool = False) -> bool:
    """Return a boolean, ``default`` if it is missing. Raises ``Refused``."""
    value = body.get(name, "true" if default else "false")
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def metadata_of(body: Json) -> dict[str, str]:
    """Return the metadata. Raises ``Refused`` over Stripe's limits."""
    value = body.get("metadata")
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid("Invalid object", "metadata", code="parameter_invalid_object")
    if len(value) > MAX_METADATA:
        raise invalid(f"You can have up to {MAX_METADATA} metadata keys.", "metadata")
    for key, item in value.items():
        if not isinstance(item, str):
            raise invalid("Metadata values must be strings.", f"metadata[{key}]")
        if length(key) > MAX_METADATA_KEY or length(item) > MAX_METADATA_VALUE:
            raise invalid(
                f"Metadata keys can have up to {MAX_METADATA_KEY} characters and "
                f"values up to {MAX_METADATA_VALUE}.",
                f"metadata[{key}]",
            )
    return value


def _multicapture(body: Json) -> bool:
    options = body.get("payment_method_options")
    card = options.get("card") if isinstance(options, dict) else None
    value = card.get("request_multicapture") if isinstance(card, dict) else None
    if value not in (None, "if_available", "never"):
        raise invalid(
            "Invalid request_multicapture: must be one of if_available or never",
            "payment_method_options[card][request_multicapture]",
        )
    return bool(value == "if_available")


def _future(body: Json) -> str | None:
    value = text(body, "setup_future_usage", 20)
    if value not in (None, "on_session", "off_session"):
        raise invalid(
            "Invalid setup_future_usage: must be one of on_session or off_session",
            "setup_future_usage",
        )
    return value


def _currency(body: Json) -> str:
    value = body.get("currency")
    if value is None or value == "":
        raise invalid(
            "Missing required param: currency.", "currency", code="parameter_missing"
        )
    currency = str(value).lower()
    if currency not in MINIMUM and currency not in OTHER_CURRENCIES:
        raise invalid(f"Invalid currency: {value}.", "currency")
    return currency


def _check_amount(amount: int, currency: str) -> None:
    most = MAXIMUM_IN.get(currency, MAXIMUM)
    if amount > most:
        raise invalid(
            f"Amount must be no more than {most} {currency}",
            "amount",
            code="amount_too_large",
        )
    if amount < MINIMUM.get(currency, 1):
        raise invalid(
            f"Amount must be at least {MINIMUM[currency]} {currency} in the smallest "
            f"unit of the currency",
            "amount",
            code="amount_too_small",
        )
    check_step(amount, currency, "amount")


def check_step(amount: int, currency: str, name: str) -> None:
    """Refuse amounts with a fraction that cannot be settled."""
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_UNITS else 1
    if amount % step:
        raise invalid(
            f"Invalid amount: in {currency} it must be a multiple of {step}.", name
        )


def _types(value: object) -> list[str]:
    if not isinstance(value, list):
        raise invalid("Invalid array", "payment_method_types")
    for kind in value:
        if kind not in METHOD_TYPES:
            raise invalid(
                f'The payment method type "{kind}" is invalid.',
                "payment_method_types",
            )
    return value


def _automatic(body: Json) -> Json | None:
    """Automatic payment methods are on unless switched off, since API 2023-08-16."""
    value = body.get("automatic_payment_methods", {"enabled": "true"})
    if not isinstance(value, dict) or "enabled" not in value:
        raise invalid(
            "Missing required param: automatic_payment_methods[enabled].",
            "automatic_payment_methods[enabled]",
            code="parameter_missing",
        )
    if not flag(value, "enabled"):
        return None
    redirects = value.get("allow_redirects", "always")
    if redirects not in ("always", "never"):
        raise invalid(
            "Invalid allow_redirects: must be one of always or never",
            "automatic_payment_methods[allow_redirects]",
        )
    return {"allow_redirects": redirects, "enabled": True}
