"""What of a provider's own words is kept: codes, and one sentence for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from domain.errors import OutcomeUnknown, ProviderError

#: Codes are words joined by underscores. Digits hardly occur in them; a run of three
#: would be an id, an amount or worse, and codes are kept and logged in the clear.
_CODE: Final = re.compile(r"(?!.*[0-9]{3})[A-Za-z0-9_]{1,64}\Z")
#: Characters of a provider's sentence that are worth keeping.
_SENTENCE: Final = 300
#: Characters of a provider's id or of a type of event; theirs have up to a hundred.
_NAME: Final = 128


def code_of(value: object) -> str | None:
    """``value`` where it is a code (letters, digits and ``_``, 64 at most), or None."""
    return value if isinstance(value, str) and _CODE.match(value) else None


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
