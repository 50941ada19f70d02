"""Books with malformed fields: all are compared, and each bad line is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind
from runtime.settings import Settings
from tests.support.reconciliation_shop import PAYPAL, STRIPE, Day, Story, day
from tests.support.running_stack import payments
from tests.support.simulator_process import Simulator

BOTH = pytest.mark.parametrize("provider", [STRIPE, PAYPAL])
HALF = "half \ud83d"


@pytest.fixture
def shop(
    settings: Settings, simulators: dict[ProviderName, Simulator]
) -> Iterator[Day]:
    """A paid and a refunded payment at each provider."""
    stories = {"paid": Story("pays"), "again": Story("pays")}
    with day(settings, simulators, stories) as done:
        yield done


def overwrite(shop: Day, provider: ProviderName, ref: str, **fields: Any) -> None:
    """Replaces fields of an object at the provider."""
    shop.drift(provider, do="overwrite", id=ref, fields=fields)


def reconciled(shop: Day, provider: ProviderName) -> list[dict[str, Any]]:
    """The differences of `payments reconcile`, checked in JSON and tables."""
    asked = ("reconcile", "--since", "1h", "--provider", provider.value)
    environment = shop.settings.environment()
    printed = payments(*asked, "--json", environment=environment)
    assert printed.returncode == 1 and not printed.stderr, printed.stderr
    [report] = json.loads(printed.stdout)["reports"]
    found: list[dict[str, Any]] = report["differences"]
    shown = payments(*asked, environment=environment)
    assert shown.returncode == 1 and not shown.stderr, shown.stderr
    listed = payments("reconcile", "open", environment=environment)
    assert listed.returncode == 0, listed.stderr
    for one in found:
        assert one["ref"] in shown.stdout and one["ref"] in listed.stdout
        assert one["kind"].replace("_", " ") in shown.stdout
    return found


@BOTH
@pytest.mark.parametrize("name", [HALF, "\0", 17, None, ["a"]], ids=range(5))
def test_a_line_with_a_foreign_text_as_our_id_is_theirs_alone(
    shop: Day, provider: ProviderName, name: object
) -> None:
    ref = shop.drift(provider, do="unknown_charge", amount=1234)
    fields: dict[str, Any] = {"custom_field": name, "invoice_id": name}
    if provider is STRIPE:
        fields = {"metadata": {"payment": name, "operation": name}}
    overwrite(shop, provider, ref, **fields, description=HALF)
    [found] = shop.report(provider).differences
    assert (found.kind, found.ref) == (DifferenceKind.THEIRS_ALONE, ref)
    assert (found.payment, found.operation) == (None, None)


@BOTH
def test_an_unreadable_line_is_named_and_all_others_are_compared(
    shop: Day, provider: ProviderName
) -> None:
    ref = shop.drift(provider, do="unknown_charge", amount=1234)
    odd: dict[str, Any] = {"currency": "usdx", "metadata": HALF}
    if provider is PAYPAL:
        amount = {"currency_code": "USDX", "value": "much"}
        odd = {"transaction_amount": amount, "custom_field": HALF}
    overwrite(shop, provider, ref, **odd)
    report = shop.report(provider)
    [found] = report.differences
    assert (found.kind, found.ref) == (DifferenceKind.UNREADABLE, ref)
    assert report.compared == 2
    [difference] = reconciled(shop, provider)
    assert (difference["kind"], difference["ref"]) == ("unreadable", ref)
    assert difference["theirs"] is None


@BOTH
def test_a_payment_unreadable_at_the_provider_is_named(
    shop: Day, provider: ProviderName
) -> None:
    paid = shop.payment(provider, "paid")
    charge = paid.refs["charge" if provider is STRIPE else "capture"]
    shop.drift(provider, do="change_amount", id=charge, amount=5)
    if provider is STRIPE:
        overwrite(shop, provider, paid.refs["payment_intent"], latest_charge=["?"])
    else:
        overwrite(shop, provider, paid.refs["order"], purchase_units=HALF)
    [difference] = reconciled(shop, provider)
    assert (difference["kind"], difference["payment"]) == ("unreadable", paid.id)
