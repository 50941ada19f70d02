"""Checks answers and webhooks against the shapes that the providers publish.

``PAYMENTS_SPECS`` names a folder with Stripe's example objects
(``stripe_fixtures3.json``) and PayPal's OpenAPI files; CONTRIBUTING.md says where they
come from. Without it nothing is checked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

# Its types are a package of their own, which only this module would need.
import jsonschema
import requests

#: The folder, or None.
SPECS: Final = os.environ.get("PAYMENTS_SPECS")
PAYPAL_FILES: Final = (
    "paypal_checkout_orders_v2.json",
    "paypal_payments_payment_v2.json",
    "paypal_notifications_webhooks_v1.json",
)
#: Fields that an object of Stripe has only in some states or API versions.
CONDITIONAL: Final = {
    # Charges hold their refunds only where they are expanded.
    "charge": {"refunds"},
    "refund": {"failure_balance_transaction", "failure_reason", "pending_reason"},
    # A method has details of its own type.
    "payment_method": {"card", "us_bank_account"},
    # Only events of connected accounts name theirs.
    "event": {"account"},
}
#: Types of Stripe's errors. Source: https://docs.stripe.com/api/errors
STRIPE_ERRORS: Final = ("api_error", "card_error", "idempotency_error")
STRIPE_REQUEST_ERROR: Final = "invalid_request_error"
#: Issues that the simulator gives where PayPal's file does not name them for the
#: operation: it names the first four for carrying an order out, the fifth for
#: authorizing one, the others nowhere. simulators/README.md says so too.
UNNAMED: Final = frozenset(
    (
        "TOKEN_ID_NOT_FOUND",
        "PAYER_ACTION_REQUIRED",
        "RETURN_URL_REQUIRED",
        "CANCEL_URL_REQUIRED",
        "ORDER_EXPIRED",
        "DECIMALS_NOT_SUPPORTED",
        "DUPLICATE_REQUEST_ID",
    )
)
#: File and schema of the resource that an event of PayPal is about.
RESOURCES: Final = {
    "checkout-order": (PAYPAL_FILES[0], "order"),
    "authorization": (PAYPAL_FILES[1], "authorization-2"),
    "capture": (PAYPAL_FILES[1], "capture-2"),
    "refund": (PAYPAL_FILES[1], "refund"),
}

#: The problems since the last ``take_problems``. A hook cannot fail its test.
_wrong: list[str] = []


def session(provider: str, *, strict: bool = True) -> requests.Session:
    """Return a session that checks each answer.

    ``strict``: whether an answer may have nothing that the published example lacks. A
    provider may be ahead of its example, a simulator may not.
    """
    made = requests.Session()

    def check(response: requests.Response, *_: Any, **__: Any) -> None:
        body = _json(response.content)
        path = (response.request.path_url or "").partition("?")[0]
        if body is None or path.startswith("/_"):
            return
        if provider == "stripe":
            found = stripe_problems(body, strict)
        else:
            method = response.request.method or ""
            found = paypal_problems(method, path, response.status_code, body)
        add_problems(f"{response.request.method} {response.url}", found)

    if SPECS is not None:
        made.hooks["response"].append(check)
    return made


def add_problems(where: str, problems: Iterator[str]) -> None:
    """Record problems until the next ``take_problems``."""
    if SPECS is not None:
        _wrong.extend(f"{where}: {problem}" for problem in problems)


def take_problems() -> list[str]:
    """Return the problems since the last call."""
    wrong = _wrong.copy()
    _wrong.clear()
    return wrong


def event_problems(event: Any) -> Iterator[str]:
    """Return the problems of a webhook's body."""
    if "event_type" not in event:
        yield from stripe_problems(event)
        return
    yield from _against(PAYPAL_FILES[2], "event", event)
    kind = event.get("resource_type")
    if kind in RESOURCES:
        yield from _against(*RESOURCES[kind], event["resource"])


def stripe_problems(shown: Any, strict: bool = True) -> Iterator[str]:
    """Return the differences of Stripe's answer from the examples, by object."""
    if not isinstance(shown, dict):
        return
    error = shown.get("error")
    if isinstance(error, dict):
        if error.get("type") not in (*STRIPE_ERRORS, STRIPE_REQUEST_ERROR):
            yield f"error.type is {error.get('type')!r}"
        if not isinstance(error.get("message"), str):
            yield "error.message is missing"
    example = _example(shown.get("object"))
    if example is not None:
        yield from _differences(shown, example, strict)
    for value in shown.values():
        for inner in value if isinstance(value, list) else [value]:
            yield from stripe_problems(inner, strict)


def _differences(
    shown: dict[str, Any], example: dict[str, Any], strict: bool
) -> Iterator[str]:
    kind = shown["object"]
    conditional = CONDITIONAL.get(kind, set())
    missing = set(example) - set(shown) - conditional
    if missing:
        yield f"{kind} lacks {sorted(missing)}"
    extra = set(shown) - set(example) - conditional
    if extra and strict:
        yield f"{kind} has {sorted(extra)}, which the example has not"
    for name, value in shown.items():
        other = example.get(name)
        # An id may be expanded to the object that it names.
        expanded = isinstance(value, dict) and isinstance(other, str)
        if value is not None and other is not None and not expanded:
            if type(value) is not type(other):
                yield f"{kind}.{name} is {value!r}, and {other!r} in the example"


def paypal_problems(method: str, path: str, status: int, body: Any) -> Iterator[str]:
    """Return the differences of PayPal's answer from its operation's schema."""
    for file in PAYPAL_FILES:
        for template, operations in specification(file)["paths"].items():
            pattern = re.sub(r"{[^}]*}", "[^/]+", template)
            operation = operations.get(method.lower())
            if operation is None or not re.fullmatch(pattern, path):
                continue
            answer = operation["responses"].get(str(status))
            if answer is None or "content" not in answer:
                continue
            if status >= 400:
                yield from _against(file, f"error_{status}", body)
            if status < 400 or not _issues(body) <= UNNAMED:
                schema = answer["content"]["application/json"]["schema"]
                shown = _without_descriptions(body) if status >= 400 else body
                yield from _validated(file, json.dumps(schema), shown)


def _issues(error: Any) -> set[str]:
    """Return the issues of an error; one without any stands for itself."""
    return {detail.get("issue", "") for detail in error.get("details", [{}])}


def _without_descriptions(error: Any) -> Any:
    """Return an error without the texts that PayPal's files fix, but may change."""
    details = [
        {name: value for name, value in detail.items() if name != "description"}
        for detail in error.get("details", [])
    ]
    return error | ({"details": details} if details else {})


@cache
def specification(name: str) -> Any:
    """Read one of the files."""
    return json.loads((Path(SPECS or "") / name).read_text())


def _example(kind: object) -> dict[str, Any] | None:
    if not isinstance(kind, str):
        return None
    resources = specification("stripe_fixtures3.json")["resources"]
    example: dict[str, Any] | None = resources.get(kind)
    return example


def _against(file: str, schema: str, shown: Any) -> Iterator[str]:
    reference = json.dumps({"$ref": f"#/components/schemas/{schema}"})
    yield from _validated(file, reference, shown)


def _validated(file: str, schema: str, shown: Any) -> Iterator[str]:
    for error in _validator(file, schema).iter_errors(shown):
        yield f"{error.json_path}: {error.message[:300]}"


@cache
def _validator(file: str, schema: str) -> Any:
    whole = {**json.loads(schema), "components": specification(file)["components"]}
    return jsonschema.Draft202012Validator(whole)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
