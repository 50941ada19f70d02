"""The boundary for text from providers: what of it is read, and what is kept.

Other applications and people write on a provider's objects too, so any field can hold
anything. `clean_json` makes every text in an answer or an event safe to store and to
print; the readers check the rest.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Final, TypeVar

from domain.card_numbers import has_card_data
from domain.errors import MalformedAnswer, MalformedObject, ProviderError
from domain.payments.submission import ProviderName

_T = TypeVar("_T")
_Line = TypeVar("_Line")
_Unread = TypeVar("_Unread")

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
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: Characters of a provider's id or of a type of event; theirs have up to a hundred.
_NAME: Final = 128
#: An id of a payment or an operation of ours, as we write it on a provider's object.
_OURS: Final = re.compile(r"(?:pay|op)_[0-9A-HJKMNP-TV-Z]{26}")
#: The address of a page for the payer; theirs have some hundred characters.
_PAGE: Final = re.compile(r"https?://[!-~]{1,2000}")
#: Years that a provider's time can be of; arithmetic on any of these stays in range.
_YEARS: Final = range(1970, 3000)
#: An escape of JSON that may be half a surrogate pair, or is NUL. MongoDB stores
#: neither everywhere, and no terminal prints them.
_SUSPECT: Final = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
#: Each escape of a JSON text, one that is not safe in its group.
_ESCAPE: Final = re.compile(
    rb"\\(?:"
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<unsafe>u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000))"
    rb"|.)",
    re.DOTALL,
)
#: U+FFFD, as JSON escapes it.
_REPLACEMENT: Final = rb"\ufffd"
log = logging.getLogger(__name__)


def clean_json(body: bytes) -> bytes:
    """``body`` with U+FFFD for each NUL, half a surrogate pair and invalid byte.

    Every text that is parsed from the result can be stored and printed.
    """
    if not body.isascii():
        body = body.decode(errors="replace").encode()
    if _SUSPECT.search(body) is None:
        return body
    return _ESCAPE.sub(
        lambda found: _REPLACEMENT if found["unsafe"] else found[0], body
    )


def parse_json(body: bytes) -> Any:
    """Parses a provider's JSON, cleaned. Raises ValueError or RecursionError."""
    return json.loads(clean_json(body))


def parse_stripe_code(value: object) -> str | None:
    """``value`` where it is a code as Stripe writes them, 80 characters at most."""
    return value if isinstance(value, str) and _STRIPE.match(value) else None


def parse_paypal_code(value: object) -> str | None:
    """``value`` where it is a code as PayPal writes them, 80 characters at most."""
    return value if isinstance(value, str) and _PAYPAL.match(value) else None


def parse_sentence(value: object, *, otherwise: str) -> str:
    """``value`` where it is a text without card data, cut to 300 characters.

    Anything else gives ``otherwise``.

    It may quote what was sent, a token included: store it sealed, and never log it.
    """
    if not isinstance(value, str) or not value or has_card_data(value[:_SENTENCE]):
        return otherwise
    # No control character, which would forge lines wherever the sentence is shown.
    return _CONTROL.sub(" ", truncate(value, _SENTENCE))


def truncate(text: str, most: int) -> str:
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
def without_causes() -> Iterator[None]:
    """Lets a ProviderError out, and any other error as MalformedAnswer where it is no
    JSON, else as MalformedObject: whatever could not be read, the provider may have
    acted.

    Both go without their causes: these quote what it said, tokens included.
    """
    try:
        yield
    except ProviderError as error:
        raise error from None
    except json.JSONDecodeError:
        raise MalformedAnswer from None
    except Exception:
        # Only the breaker tells the two apart.
        raise MalformedObject(MalformedAnswer.code) from None


def validated_id(given: object) -> str:
    """A provider's id, or an event's type. Raises ValueError where it can be none."""
    if isinstance(given, str) and 0 < len(given) <= _NAME and given.isprintable():
        return given
    raise ValueError("no name")


def parse_own_id(given: object) -> str | None:
    """An id of a payment or an operation of ours; None where ``given`` is none."""
    if isinstance(given, str) and _OURS.fullmatch(given):
        return given
    return None


def parse_page_url(given: object) -> str:
    """The address of a page. Raises ValueError where ``given`` can be none."""
    if isinstance(given, str) and _PAGE.fullmatch(given):
        return given
    raise ValueError("no page")


def parse_unix_time(given: object) -> datetime:
    """A time (UTC) in whole seconds since 1970. Raises ValueError where it is none."""
    if type(given) is not int:
        raise ValueError("no time")
    try:
        return _in_range(datetime.fromtimestamp(given, timezone.utc))
    except (OverflowError, OSError):
        raise ValueError("no time") from None


def parse_rfc3339(given: object) -> datetime:
    """A time (UTC) in a text by RFC 3339. Raises ValueError where it is none."""
    if not isinstance(given, str):
        raise ValueError("no time")
    at = datetime.fromisoformat(given)
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    try:
        return _in_range(at.astimezone(timezone.utc))
    except OverflowError:
        raise ValueError("no time") from None


def parse_optional(read: Callable[[object], _T], given: object) -> _T | None:
    """``given`` as ``read`` reads it; None where that raises ValueError."""
    try:
        return read(given)
    except ValueError:
        return None


def parse_lines(
    lines: Iterable[_Line],
    read: Callable[[_Line], _T | None],
    unread: Callable[[_Line], _Unread],
) -> tuple[list[_T], list[_Unread]]:
    """What ``read`` makes of each line, and what ``unread`` does where it raises.

    ``read`` returns None of a line that does not matter. One line never hides others.
    """
    found, failed = list[_T](), list[_Unread]()
    for line in lines:
        try:
            one = read(line)
        except Exception:
            failed.append(unread(line))
            continue
        if one is not None:
            found.append(one)
    return found, failed


def _in_range(at: datetime) -> datetime:
    if at.year not in _YEARS:
        raise ValueError("no time")
    return at


def read_secondary(
    what: str, provider: ProviderName, read: Callable[[], _T]
) -> _T | None:
    """What ``read`` finds beside an outcome; None where it cannot be read."""
    try:
        return read()
    except Exception:
        # Without its cause, which may quote a token.
        log.warning(
            "secondary_unreadable", extra={"provider": provider, "reason": what}
        )
        return None
