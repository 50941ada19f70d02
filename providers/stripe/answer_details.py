"""What an answer says beside its outcome: fees and saved methods.

The outcome counts without them, so what cannot be read is left out and logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from domain.answer import SavedMethod
from domain.money import Fee
from domain.submission import ProviderName
from providers.amounts import from_stripe
from providers.paypal_objects import money_of
from providers.words import name_of

log = logging.getLogger(__name__)

_T = TypeVar("_T")


def stripe_fee(holder: Any, part: int | None = None) -> Fee | None:
    """The fee in the line of the balance that a charge or a refund was expanded with.

    Below 0 where Stripe gave a fee back. ``part`` is the capture that is meant, in
    Stripe's units, where there may be several: the line is the latest one's, so of
    another amount it is none of this.
    """

    def read() -> Fee | None:
        line = getattr(holder, "balance_transaction", None)
        if line is None or isinstance(line, str):
            return None
        if part is not None and not _is_of(line, part, holder.currency):
            return None
        return _fee_in(line)

    return read_aside("fee", ProviderName.STRIPE, read)


def stripe_part_fee(
    lines: Callable[[], Iterable[Any]], part: int, currency: str
) -> Fee | None:
    """The fee of one of several captures of a charge, from ``lines``, all that the
    balance has of it; of equal captures any line may be any's."""

    def read() -> Fee | None:
        of = (line for line in lines() if _is_of(line, part, currency))
        return next((_fee_in(line) for line in of), None)

    return read_aside("fee", ProviderName.STRIPE, read)


def stripe_saved(intent: Any) -> SavedMethod | None:
    """The method that an intent saved by being paid with it."""

    def read() -> SavedMethod | None:
        method = getattr(intent, "payment_method", None)
        if getattr(intent, "setup_future_usage", None) is None or method is None:
            return None
        customer = getattr(intent, "customer", None)
        return SavedMethod(
            name_of(_id(method)), None if customer is None else name_of(_id(customer))
        )

    return read_aside("saved_method", ProviderName.STRIPE, read)


def paypal_fee(movement: Mapping[str, Any]) -> Fee | None:
    """The fee of a capture; below 0 what of it came back with a refund."""

    def read() -> Fee | None:
        kept = movement.get("seller_receivable_breakdown") or {}
        back = movement.get("seller_payable_breakdown") or {}
        fee = kept.get("paypal_fee") or back.get("paypal_fee")
        if fee is None:
            return None
        money = money_of(fee)
        return Fee(money.minor if kept else -money.minor, money.currency)

    return read_aside("fee", ProviderName.PAYPAL, read)


def paypal_saved(order: Mapping[str, Any]) -> SavedMethod | None:
    """The wallet that an order saved by being paid with it."""

    def read() -> SavedMethod | None:
        vault = _vault(order)
        if "id" not in vault:
            return None
        customer = (vault.get("customer") or {}).get("id")
        return SavedMethod(
            name_of(vault["id"]), None if customer is None else name_of(customer)
        )

    return read_aside("saved_method", ProviderName.PAYPAL, read)


def paypal_saving(order: Mapping[str, Any]) -> bool:
    """Whether the wallet is still being saved: PayPal answers as soon as it is paid
    (developer.paypal.com, save payment methods with the JavaScript SDK)."""

    def read() -> bool:
        vault = _vault(order)
        return "id" not in vault and vault.get("status") == "APPROVED"

    return read_aside("saving", ProviderName.PAYPAL, read) or False


def _vault(order: Mapping[str, Any]) -> Mapping[str, Any]:
    wallet = (order.get("payment_source") or {}).get("paypal") or {}
    vault: Mapping[str, Any] = (wallet.get("attributes") or {}).get("vault") or {}
    return vault


def _is_of(line: Any, part: int, currency: str) -> bool:
    """Whether a line of the balance is a capture of ``part``; lines in the account's
    currency tell of no capture."""
    taken = line.type in ("charge", "payment")
    return taken and (line.amount, line.currency) == (part, currency)


def _fee_in(line: Any) -> Fee:
    money = from_stripe(abs(line.fee), line.currency)
    return Fee(money.minor if line.fee > 0 else -money.minor, money.currency)


def _id(named: Any) -> object:
    """The id of what Stripe names by it, or has expanded."""
    return named if isinstance(named, str) else named.id


def read_aside(what: str, provider: ProviderName, read: Callable[[], _T]) -> _T | None:
    """What ``read`` finds beside an outcome; None where it cannot be read."""
    try:
        return read()
    except Exception:
        # Without its cause, which may quote a token.
        log.warning("aside_unreadable", extra={"provider": provider, "why": what})
        return None
