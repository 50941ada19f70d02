"""Parses untrusted values from providers.

Other applications and people also write on a provider's objects, so any field can hold
anything. `clean_json` makes every text in an answer or an event safe to store and to
print; the parsers check the rest.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Final, TypeVar

from application.logs import get_logger
from domain.card_numbers import has_card_data
from domain.errors import MalformedAnswer, MalformedObject, ProviderError
from domain.payments.submission import ProviderName

_T = TypeVar("_T")
_Line = TypeVar("_Line")
_Unread = TypeVar("_Unread")

#: Codes are words joined by underscores: lower case at Stripe, upper case at PayPal.
#: Codes are stored and logged in the clear, so anything else is refused: tokens mix
#: cases, and three digits in a row may be an id or an amount.
_STRIPE: Final = re.compile(r"(?!.*[0-9]{3})[a-z0-9_]{1,80}\Z")
_PAYPAL: Final = re.compile(r"(?!.*[0-9]{3})[A-Z0-9_]{1,80}\Z")
#: Characters kept of a provider's sentence, counted as in ``truncate``.
_SENTENCE: Final = 300
_JOINER: Final = "\u200d"  #: joins two emoji into one
_SKIN_TONES: Final = ("\U0001f3fb", "\U0001f3ff")
_FLAG_LETTERS: Final = ("\U0001f1e6", "\U0001f1ff")  #: two form a flag
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: Longest id or event type, in characters; the providers' have up to a hundred.
_NAME: Final = 128
#: The id of one of our payments or operations, as written on a provider's object.
_OURS: Final = re.compile(r"(?:pay|op)_[0-9A-HJKMNP-TV-Z]{26}")
#: The URL of a page for the payer; the providers' have some hundred characters.
_PAGE: Final = re.compile(r"https?://[!-~]{1,2000}")
#: Accepted years of a provider's time. Arithmetic on them stays within ``datetime``.
_YEARS: Final = range(1970, 3000)
#: A JSON escape of NUL, or of a possible half of a surrogate pair. MongoDB does not
#: store them everywhere, and terminals do not print them.
_SUSPECT: Final = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
#: Any JSON escape; the group matches the unsafe ones.
_ESCAPE: Final = re.compile(
    rb"\\(?:"
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<unsafe>u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000))"
    rb"|.)",
    re.DOTALL,
)
#: U+FFFD, as JSON escapes it.
_REPLACEMENT: Final = rb"\ufffd"
#: The errors of code that reads a parsed object of another shape than documented.
MALFORMED: Final = (
    *(ValueError, LookupError, TypeError, AttributeError),
    RecursionError,
)

log = get_logger(__name__)


def clean_json(body: bytes) -> bytes:
    """Replaces each NUL, half surrogate pair and invalid byte by U+FFFD.

    Every text parsed from the result can be stored and printed.
    """
    if not body.isascii():
        body = body.decode(errors="replace").encode()
    if _SUSPECT.search(body) is None:
        return body
    return _ESCAPE.sub(
        lambda found: _REPLACEMENT if found["unsafe"] else found[0], body
    )


def parse_json(body: bytes) -> Any:
    """Cleans and parses a provider's JSON. Raises ValueError or RecursionError."""
    return json.loads(clean_json(body))


def parse_stripe_code(value: object) -> str | None:
    """``value`` if it has the form of a Stripe code (at most 80 characters)."""
    return value if isinstance(value, str) and _STRIPE.match(value) else None


def parse_paypal_code(value: object) -> str | None:
    """``value`` if it has the form of a PayPal code (at most 80 characters)."""
    return value if isinstance(value, str) and _PAYPAL.match(value) else None


def parse_sentence(value: object, *, otherwise: str) -> str:
    """``value``, cut to 300 characters, if it is a text without card data.

    Any other value gives ``otherwise``. The sentence may quote the request, tokens
    included: store it sealed and never log it.
    """
    if not isinstance(value, str) or not value or has_card_data(value[:_SENTENCE]):
        return otherwise
    # Control characters could forge lines wherever the sentence is shown.
    return _CONTROL.sub(" ", truncate(value, _SENTENCE))


def truncate(text: str, most: int) -> str:
    """The longest beginning of ``text`` with at most ``most`` characters by any count.

    Servers count code points, UTF-16 units or UTF-8 bytes; bytes are the most. The cut
    does not divide a visible character unless nothing else fits. Half a surrogate pair
    becomes a ``?``, because no encoding takes it.
    """
    kept = text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
    if len(kept) == len(text):
        return kept
    end = len(kept)
    while end and _is_joined(text[end - 1], text[end]):
        end -= 1
    return kept[:end] or kept


def _is_joined(before: str, after: str) -> bool:
    """Whether the two code points are displayed as one character."""
    is_mark = unicodedata.category(after).startswith("M")
    has_tone = _SKIN_TONES[0] <= after <= _SKIN_TONES[1]
    is_flag = all(_FLAG_LETTERS[0] <= one <= _FLAG_LETTERS[1] for one in before + after)
    return is_mark or has_tone or is_flag or _JOINER in (before, after)


@contextmanager
def without_causes() -> Iterator[None]:
    """Turns parse errors into ProviderErrors and drops their causes.

    Invalid JSON becomes MalformedAnswer, any other error MalformedObject: the provider
    may have acted. A ProviderError passes. The causes are dropped because they quote
    the answer, tokens included.
    """
    try:
        yield
    except ProviderError as error:
        raise error from None
    except json.JSONDecodeError:
        raise MalformedAnswer from None
    except Exception:
        # Only the circuit breaker distinguishes the two.
        raise MalformedObject(MalformedAnswer.code) from None


def validated_id(given: object) -> str:
    """A provider's id or an event type. Raises ValueError if ``given`` is neither."""
    if isinstance(given, str) and 0 < len(given) <= _NAME and given.isprintable():
        return given
    raise ValueError("no name")


def parse_own_id(given: object) -> str | None:
    """The id of one of our payments or operations, or None."""
    if isinstance(given, str) and _OURS.fullmatch(given):
        return given
    return None


def parse_page_url(given: object) -> str:
    """The URL of a page. Raises ValueError if ``given`` is not one."""
    if isinstance(given, str) and _PAGE.fullmatch(given):
        return given
    raise ValueError("no page")


def parse_unix_time(given: object) -> datetime:
    """A time (UTC) from whole seconds since 1970. Raises ValueError if invalid."""
    if type(given) is not int:
        raise ValueError("no time")
    try:
        return _in_range(datetime.fromtimestamp(given, timezone.utc))
    except (OverflowError, OSError):
        raise ValueError("no time") from None


def parse_rfc3339(given: object) -> datetime:
    """A time (UTC) from an RFC 3339 text. Raises ValueError if invalid."""
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
    """The result of ``read``, or None if it raises ValueError."""
    try:
        return read(given)
    except ValueError:
        return None


def parse_lines(
    lines: Iterable[_Line],
    read: Callable[[_Line], _T | None],
    unread: Callable[[_Line], _Unread],
) -> tuple[list[_T], list[_Unread]]:
    """Reads each line with ``read``, and with ``unread`` if that fails.

    Returns both lists of results. ``read`` returns None for an irrelevant line. A line
    that cannot be read does not affect the others.
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
    name: str, provider: ProviderName, read: Callable[[], _T]
) -> _T | None:
    """Reads a secondary part of an answer; logs and returns None if that fails."""
    try:
        return read()
    except Exception:
        # The cause is not logged: it may quote a token.
        log.warning("secondary_unreadable", provider=provider, reason=name)
        return None
