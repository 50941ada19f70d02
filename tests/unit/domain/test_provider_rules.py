"""The registry of providers: each name has a row."""

from __future__ import annotations

import copy
import pickle

import pytest

from domain.payments.operation import Kind
from domain.provider_rules import RULES, STRIPE_RULES, ProviderName, register


def test_a_name_with_a_row_is_one_object_however_it_is_made() -> None:
    stripe = ProviderName.STRIPE
    assert ProviderName("stripe") is stripe
    assert copy.deepcopy(stripe) is stripe
    assert pickle.loads(pickle.dumps(stripe)) is stripe  # nosec: made here
    assert (stripe.value, type(stripe.value), f"{stripe}") == ("stripe", str, "stripe")


def test_a_name_without_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="'acme' is not the name of a provider"):
        ProviderName("acme")


def test_the_names_are_those_that_have_a_row() -> None:
    assert list(ProviderName) == list(RULES) == ["stripe", "paypal"]
    assert len(ProviderName) == 2
    assert "stripe" in ProviderName and "acme" not in ProviderName


def test_a_second_row_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="stripe has a row already"):
        register("stripe", STRIPE_RULES)


@pytest.mark.parametrize("name", ProviderName)
def test_each_row_has_a_value_for_each_kind_of_operation(name: ProviderName) -> None:
    rules = RULES[name]
    assert set(rules.key_windows) == set(rules.object_ids) == set(Kind)
