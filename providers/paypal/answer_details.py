"""Parses fees and saved wallets in PayPal's answers.

They are optional: one that cannot be read is logged and left out of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.money import Fee
from domain.payments.answer import SavedMethod
from domain.payments.submission import ProviderName
from providers.paypal.objects import parse_money
from providers.sanitize import read_secondary, validated_id


def parse_paypal_fee(movement: Mapping[str, Any]) -> Fee | None:
    """The fee of a capture, or the fee returned with a refund as a negative amount."""

    def read() -> Fee | None:
        received = movement.get("seller_receivable_breakdown") or {}
        refunded = movement.get("seller_payable_breakdown") or {}
        fee = received.get("paypal_fee") or refunded.get("paypal_fee")
        if fee is None:
            return None
        money = parse_money(fee)
        return Fee(money.minor if received else -money.minor, money.currency)

    return read_secondary("fee", ProviderName.PAYPAL, read)


def parse_paypal_saved_method(order: Mapping[str, Any]) -> SavedMethod | None:
    """The wallet that an order saved, or None."""

    def read() -> SavedMethod | None:
        vault = _vault(order)
        if "id" not in vault:
            return None
        customer = (vault.get("customer") or {}).get("id")
        return SavedMethod(
            validated_id(vault["id"]),
            None if customer is None else validated_id(customer),
        )

    return read_secondary("saved_method", ProviderName.PAYPAL, read)


def is_paypal_saving_method(order: Mapping[str, Any]) -> bool:
    """Whether the wallet is still being saved.

    PayPal may answer a paid order earlier (developer.paypal.com, save payment methods
    with the JavaScript SDK).
    """

    def read() -> bool:
        vault = _vault(order)
        return "id" not in vault and vault.get("status") == "APPROVED"

    return read_secondary("saving", ProviderName.PAYPAL, read) or False


def _vault(order: Mapping[str, Any]) -> Mapping[str, Any]:
    wallet = (order.get("payment_source") or {}).get("paypal") or {}
    vault: Mapping[str, Any] = (wallet.get("attributes") or {}).get("vault") or {}
    return vault
