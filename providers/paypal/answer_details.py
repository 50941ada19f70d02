"""Fees and saved wallets in PayPal's answers, beside the outcome.

The outcome counts without them, so what cannot be read is left out and
logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.money import Fee
from domain.payments.answer import SavedMethod
from domain.payments.submission import ProviderName
from providers.paypal.objects import parse_money
from providers.sanitize import validated_id, read_secondary


def parse_paypal_fee(movement: Mapping[str, Any]) -> Fee | None:
    """The fee of a capture; below 0 what of it came back with a refund."""

    def read() -> Fee | None:
        kept = movement.get("seller_receivable_breakdown") or {}
        back = movement.get("seller_payable_breakdown") or {}
        fee = kept.get("paypal_fee") or back.get("paypal_fee")
        if fee is None:
            return None
        money = parse_money(fee)
        return Fee(money.minor if kept else -money.minor, money.currency)

    return read_secondary("fee", ProviderName.PAYPAL, read)


def parse_paypal_saved_method(order: Mapping[str, Any]) -> SavedMethod | None:
    """The wallet that an order saved by being paid with it."""

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
    """Whether the wallet is still being saved: PayPal answers as soon as it is paid
    (developer.paypal.com, save payment methods with the JavaScript SDK)."""

    def read() -> bool:
        vault = _vault(order)
        return "id" not in vault and vault.get("status") == "APPROVED"

    return read_secondary("saving", ProviderName.PAYPAL, read) or False


def _vault(order: Mapping[str, Any]) -> Mapping[str, Any]:
    wallet = (order.get("payment_source") or {}).get("paypal") or {}
    vault: Mapping[str, Any] = (wallet.get("attributes") or {}).get("vault") or {}
    return vault
