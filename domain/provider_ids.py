"""The ids that providers give their objects, as a person reads them in a dashboard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from domain.errors import InvalidPayment
from domain.operation import Kind
from domain.submission import ProviderName

#: What an operation's object is called among its refs, and the shape of its id.
_INTENT: Final = ("payment_intent", re.compile(r"pi_[A-Za-z0-9]{8,64}"))
_STRIPE_REFUND: Final = ("refund", re.compile(r"(?:re|pyr)_[A-Za-z0-9]{8,64}"))
_PAYPAL: Final = re.compile(r"[A-Z0-9]{17}")
_SHAPES: Final = {
    (ProviderName.STRIPE, Kind.CHARGE): _INTENT,
    (ProviderName.STRIPE, Kind.AUTHORIZE): _INTENT,
    (ProviderName.STRIPE, Kind.CAPTURE): _INTENT,
    (ProviderName.STRIPE, Kind.VOID): _INTENT,
    (ProviderName.STRIPE, Kind.REFUND): _STRIPE_REFUND,
    (ProviderName.PAYPAL, Kind.CHARGE): ("capture", _PAYPAL),
    (ProviderName.PAYPAL, Kind.AUTHORIZE): ("authorization", _PAYPAL),
    (ProviderName.PAYPAL, Kind.CAPTURE): ("capture", _PAYPAL),
    (ProviderName.PAYPAL, Kind.VOID): ("authorization", _PAYPAL),
    (ProviderName.PAYPAL, Kind.REFUND): ("refund", _PAYPAL),
}
_EXAMPLES: Final = {
    ProviderName.STRIPE: {"payment_intent": "pi_…", "refund": "re_…"},
    ProviderName.PAYPAL: {},
}


def refs_of(provider: ProviderName, kind: Kind, given: str) -> Mapping[str, str]:
    """The refs of an operation whose object has the id ``given``.

    Raises InvalidPayment where that is no id of such an object.
    """
    name, shape = _SHAPES[provider, kind]
    if shape.fullmatch(given):
        return {name: given}
    like = _EXAMPLES[provider].get(name, "17 capital letters and digits")
    words = f"a {kind} at {provider} is known by its {name.replace('_', ' ')}: {like}"
    raise InvalidPayment(words, field="provider_reference")
