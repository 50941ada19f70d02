"""Tests of malformed answers of PayPal."""

from __future__ import annotations

import pytest

from domain.errors import OutcomeUnknown
from providers.paypal.adapter import PayPal
from tests.suites.accounts import a_payment, written_down
from tests.support.simulator_control import Simulator


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
@pytest.mark.parametrize(
    "body",
    [
        "<html>gateway</html>",
        "",
        "[]",
        '{"message": "no"}',
        '{"name": 17}',
        '{"name": "X", "details": "y"}',
        '{"name": "X", "details": ["y"]}',
        '{"name": "X", "details": {"issue": "Y"}}',
    ],
)
def test_an_error_that_is_not_paypals_own_proves_nothing(
    paypal: PayPal, paypal_simulator: Simulator, status: int, body: str
) -> None:
    paypal_simulator.arm_answer(status, body)
    with pytest.raises(OutcomeUnknown):
        paypal.send(written_down(paypal, a_payment(method="vault_ok")))


def test_issues_that_are_no_codes_are_not_passed_on(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    number = {"issue": "4242424242424242"}
    body = {"name": "vault_token is bad", "message": "No.", "details": [number]}
    paypal_simulator.arm_answer(422, body)
    with pytest.raises(OutcomeUnknown):
        paypal.send(written_down(paypal, a_payment(method="vault_ok")))
