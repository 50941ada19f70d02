"""The served OpenAPI document: calls by its examples, and its page."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from domain.api_keys import Role
from tests.support.running_web import Client, RunningWeb, stripe_payment

#: Requests an operation and mode: enough to meet every field, in about 15 seconds.
EXAMPLES = 60

OPERATIONS = [
    ("GET", "/v1/operations/accounts"),
    ("GET", "/v1/operations/payments"),
    ("GET", "/v1/operations/replays/{replay_id}"),
    ("GET", "/v1/payments"),
    ("GET", "/v1/payments/{payment_id}"),
    ("GET", "/v1/payments/{payment_id}/events"),
    ("POST", "/v1/operations/accounts/{account}/pause"),
    ("POST", "/v1/operations/accounts/{account}/resume"),
    ("POST", "/v1/operations/payments/{payment_id}/resolve"),
    ("POST", "/v1/operations/replays"),
    ("POST", "/v1/operations/replays/{replay_id}/cancel"),
    ("POST", "/v1/operations/replays/{replay_id}/run"),
    ("POST", "/v1/payments"),
    ("POST", "/v1/payments/{payment_id}/captures"),
    ("POST", "/v1/payments/{payment_id}/refunds"),
    ("POST", "/v1/payments/{payment_id}/void"),
    ("POST", "/v1/webhooks/paypal"),
    ("POST", "/v1/webhooks/paypal/{account}"),
    ("POST", "/v1/webhooks/stripe"),
    ("POST", "/v1/webhooks/stripe/{account}"),
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
    ignored_auth,
]


@pytest.fixture(scope="module")
def served(web: RunningWeb) -> Any:
    """The document as the service serves it."""
    return schemathesis.openapi.from_url(f"{web.base}/openapi.json")


def test_the_document_has_the_calls_and_no_others(served: Any) -> None:
    found = [one.ok() for one in served.get_all_operations()]
    assert sorted((one.method.upper(), one.path) for one in found) == OPERATIONS
    assert served.raw_schema["openapi"].startswith("3.1")


@pytest.mark.filterwarnings("ignore")  # deprecations inside schemathesis
@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        (method, path, mode)
        for method, path in OPERATIONS
        for mode in GenerationMode
        # A probe takes nothing that could be wrong.
        if mode is GenerationMode.POSITIVE or path.startswith("/v1")
    ],
)
def test_every_answer_conforms_to_the_document(
    served: Any,
    web: RunningWeb,
    merchant: Client,
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    """Generated requests, right and wrong, against the running service."""
    operates = path.startswith("/v1/operations")
    client = web.client(Role.OPERATOR) if operates else merchant
    headers = {"Authorization": f"Bearer {client.secret}"}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=served[path][method].as_strategy(generation_mode=mode))
    def exercise(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and "wait" in (case.query or {}):
            case.query["wait"] = 0  # holding on is tested elsewhere, once
        case.call_and_validate(headers=headers, checks=CHECKS)

    exercise()


def test_a_request_that_the_document_allows_is_accepted(
    served: Any, merchant: Client
) -> None:
    """Of generated submissions, whatever is refused is refused by a rule of money."""
    refused: set[str] = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=served["/v1/payments"]["POST"].as_strategy(
            generation_mode=GenerationMode.POSITIVE
        )
    )
    def submit(case: Any) -> None:
        # JSON Schema calls 5.0 an integer; we want amounts without a point.
        # Two of them may have one reference.
        body = {**case.body, "amount": int(case.body["amount"])}
        body["allow_duplicate_reference"] = True
        answer = merchant.submit(body, key=uuid.uuid4().hex)
        if answer.status_code != 202:
            refused.update(fault["code"] for fault in answer.json()["errors"])

    submit()
    assert refused <= {"not_possible", "card_number_refused", "form"}


def test_the_docs_page_needs_no_outside_host(web: RunningWeb) -> None:
    page = requests.get(f"{web.base}/docs", timeout=10)
    assert page.status_code == 200
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(linked) >= 3
    for address in linked:
        assert address.startswith("/")
        assert requests.get(web.base + address, timeout=10).status_code == 200
    start = requests.get(f"{web.base}/docs/start.js", timeout=10).text
    assert "validatorUrl: null" in start and "//" not in start
    policy = page.headers["Content-Security-Policy"]
    assert "http" not in policy and "'unsafe-inline'" not in policy.split("style")[0]


def test_the_document_names_every_problem(web: RunningWeb, merchant: Client) -> None:
    about = requests.get(f"{web.base}/openapi.json", timeout=10).json()["info"]
    answers = [
        merchant.get("/nowhere"),
        merchant.submit({}),
        merchant.submit(stripe_payment(), key='"'),
    ]
    for answer in answers:
        assert f"`{answer.json()['code']}`" in about["description"]
