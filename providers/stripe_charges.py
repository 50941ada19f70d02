"""What the charge behind a PaymentIntent tells, where it was expanded."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from providers.words import name_of, optional, unix_time

#: Asked for with an intent: its charge, and the line of the balance with its fee.
EXPAND_CHARGE: Final = ["latest_charge.balance_transaction"]
#: And with a refund: its own line.
EXPAND_REFUND: Final = ["balance_transaction"]


def refs_of(intent_id: object, charge: Any) -> dict[str, str]:
    """``charge`` is an id, an expanded object, or None. Raises ValueError."""
    refs = {"payment_intent": name_of(intent_id)}
    if charge:
        refs["charge"] = name_of(getattr(charge, "id", charge))
    return refs


def capture_before(charge: Any) -> datetime | None:
    """Until when an expanded charge can be captured (UTC), where that can be read."""
    return optional(unix_time, getattr(_card(charge), "capture_before", None))


def takes_several(charge: Any) -> bool:
    """Whether an expanded charge can be captured in parts, one after the other."""
    multicapture = getattr(_card(charge), "multicapture", None)
    return getattr(multicapture, "status", None) == "available"


def _card(charge: Any) -> Any:
    details = getattr(charge, "payment_method_details", None)
    return getattr(details, "card", None)
