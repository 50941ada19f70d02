"""Fees and saved methods in Stripe's answers, beside the outcome.

The outcome counts without them, so what cannot be read is left out and logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from domain.money import Fee
from domain.payments.answer import SavedMethod
from domain.payments.submission import ProviderName
from providers.amounts import from_stripe
from providers.sanitize import validated_id, read_secondary


def parse_stripe_fee(holder: Any, part: int | None = None) -> Fee | None:
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

    return read_secondary("fee", ProviderName.STRIPE, read)


def parse_stripe_part_fee(
    lines: Callable[[], Iterable[Any]], part: int, currency: str
) -> Fee | None:
    """The fee of one of several captures of a charge, from ``lines``, all that the
    balance has of it; of equal captures any line may be any's."""

    def read() -> Fee | None:
        of = (line for line in lines() if _is_of(line, part, currency))
        return next((_fee_in(line) for line in of), None)

    return read_secondary("fee", ProviderName.STRIPE, read)


def parse_stripe_saved_method(intent: Any) -> SavedMethod | None:
    """The method that an intent saved by being paid with it."""

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
