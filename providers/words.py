"""What of a provider's own words is kept: codes, and one sentence for people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from domain.errors import OutcomeUnknown, ProviderError

#: Codes are words joined by underscores, Stripe's in small letters and PayPal's in
#: capital ones. Tokens mix them, and a run of three digits, which codes hardly have,
#: would be an id, an amount or worse: codes are kept, shown and logged in the clear.
_STRIPE: Final = re.compile(r"(?!.*[0-9]{3})[a-z0-9_]{1,80}\Z")
_PAYPAL: Final = re.compile(r"(?!.*[0-9]{3})[A-Z0-9_]{1,80}\Z")
#: Characters of a provider's sentence that are worth keeping, counted as in ``cut``.
_SENTENCE: Final = 300
_JOINER: Final = "\u200d"  #: makes one picture of two
_SKIN_TONES: Final = ("\U0001f3fb", "\U0001f3ff")
_FLAG_LETTERS: Final = ("\U0001f1e6", "\U0001f1ff")  #: two make a flag
#: Characters of a provider's id or of a type of event; theirs have up to a hundred.
_NAME: Final = 128


def stripe_code(value: object) -> str | None:
    """``value`` where it is a code as Stripe writes them, 80 characters at most."""
    return value if isinstance(value, str) and _STRIPE.match(value) else None


def paypal_code(value: object) -> str | None:
    """``value`` where it is a code as PayPal writes them, 80 characters at most."""
    return value if isinstance(value, str) and _PAYPAL.match(value) else None


def sentence_of(value: object, *, otherwise: str) -> str:
    """``value`` where it is a text, cut to 300 characters, or ``otherwise``.

    It may quote what was sent, a token included: store it sealed, and never log it.
    """
    if not isinstance(value, str) or not value:
        return otherwise
    return cut(value, _SENTENCE)


def cut(text: str, most: int) -> str:
    """The longest beginning of ``text`` with ``most`` characters by any count.

    Servers count code points, units of UTF-16 or bytes of UTF-8; there are never fewer
    bytes than others. The cut is not inside what people see as one character, unless
    nothing else fits. Half a surrogate pair, which no encoding takes, becomes a ``?``.
    """
    kept = text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
    if len(kept) == len(text):
        return kept
    end = len(kept)
    while end and _is_joined(text[end - 1], text[end]):
        end -= 1
    return kept[:end] or kept


def _is_joined(before: str, after: str) -> bool:
    """Whether people see the two code points as one character."""
    is_mark = unicodedata.category(after).startswith("M")
    has_tone = _SKIN_TONES[0] <= after <= _SKIN_TONES[1]
    is_flag = all(_FLAG_LETTERS[0] <= one <= _FLAG_LETTERS[1] for one in before + after)
    return is_mark or has_tone or is_flag or _JOINER in (before, after)


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
