"""Parses fees and saved methods in Stripe's answers.

They are optional: one that cannot be read is logged and left out of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from domain.money import Fee
from domain.payments.answer import SavedMethod
from domain.payments.submission import ProviderName
from providers.amounts import from_stripe
from providers.sanitize import read_secondary, validated_id


def parse_stripe_fee(holder: Any, part: int | None = None) -> Fee | None:
    """The fee in the expanded balance transaction of a charge or a refund.

    It is negative if Stripe returned a fee. ``part`` is the amount of one of several
    captures, in Stripe's units. The transaction is the latest capture's, so one with
    another amount gives no fee.
    """

    def read() -> Fee | None:
        line = getattr(holder, "balance_transaction", None)
        if line is None or isinstance(line, str):
            return None
        if part is not None and not _is_of(line, part, holder.currency):
            return None
        return _fee_in(line)

    return read_secondary("fee", ProviderName.STRIPE, read)


def parse_stripe_part_fee(
    lines: Callable[[], Iterable[Any]], part: int, currency: str
) -> Fee | None:
    """The fee of one of several captures of a charge.

    ``lines`` reads the charge's balance transactions. Captures of equal amounts may
    get each other's fee.
    """

    def read() -> Fee | None:
        captures = (line for line in lines() if _is_of(line, part, currency))
        return next((_fee_in(line) for line in captures), None)

    return read_secondary("fee", ProviderName.STRIPE, read)


def parse_stripe_saved_method(intent: Any) -> SavedMethod | None:
    """The payment method that an intent saved, or None."""

    def read() -> SavedMethod | None:
        method = getattr(intent, "payment_method", None)
        if getattr(intent, "setup_future_usage", None) is None or method is None:
            return None
        customer = getattr(intent, "customer", None)
        return SavedMethod(
            validated_id(_id(method)),
            None if customer is None else validated_id(_id(customer)),
        )

    return read_secondary("saved_method", ProviderName.STRIPE, read)


def _is_of(line: Any, part: int, currency: str) -> bool:
    """Whether a balance transaction is a capture of ``part``.

    One in the account's currency, where that differs, cannot be matched.
    """
    taken = line.type in ("charge", "payment")
    return taken and (line.amount, line.currency) == (part, currency)


def _fee_in(line: Any) -> Fee:
    money = from_stripe(abs(line.fee), line.currency)
    return Fee(money.minor if line.fee > 0 else -money.minor, money.currency)


def _id(value: Any) -> object:
    """The id of an object that Stripe gives as an id or expanded."""
    return value if isinstance(value, str) else value.id
