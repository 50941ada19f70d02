"""What of a provider's own words is kept: codes, and one sentence for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from domain.errors import OutcomeUnknown, ProviderError

#: Codes are words joined by underscores, Stripe's in small letters and PayPal's in
#: capital ones. Tokens mix them, and a run of three digits, which codes hardly have,
#: would be an id, an amount or worse: codes are kept, shown and logged in the clear.
_STRIPE: Final = re.compile(r"(?!.*[0-9]{3})[a-z0-9_]{1,80}\Z")
_PAYPAL: Final = re.compile(r"(?!.*[0-9]{3})[A-Z0-9_]{1,80}\Z")
#: Characters of a provider's sentence that are worth keeping.
_SENTENCE: Final = 300
#: Characters of a provider's id or of a type of event; theirs have up to a hundred.
_NAME: Final = 128


def stripe_code(value: object) -> str | None:
    """``value`` where it is a code as Stripe writes them, 80 characters at most."""
    return value if isinstance(value, str) and _STRIPE.match(value) else None


def paypal_code(value: object) -> str | None:
    """``value`` where it is a code as PayPal writes them, 80 characters at most."""
    return value if isinstance(value, str) and _PAYPAL.match(value) else None


def sentence_of(value: object, *, otherwise: str) -> str:
    """``value`` where it is a text, 300 characters at most, or ``otherwise``.

    It may quote what was sent, a token included: store it sealed, and never log it.
    """
    if not isinstance(value, str) or not value:
        return otherwise
    # Half a character, as a cut may leave it, could not be stored.
    return value[:_SENTENCE].encode("utf-8", "replace").decode()


@contextmanager
def unquoted() -> Iterator[None]:
    """Lets a ProviderError out, and any other error as OutcomeUnknown: whatever could
    not be read, the provider may have acted.

    Both go without their causes: these quote what it said, tokens included.
    """
    try:
        yield
    except ProviderError as error:
        raise error from None
    except Exception:
        raise OutcomeUnknown("malformed_answer") from None


def name_of(given: object) -> str:
    """A provider's id, or an event's type. Raises ValueError where it can be none."""
    if isinstance(given, str) and 0 < len(given) <= _NAME and given.isprintable():
        return given
    raise ValueError("no name")
