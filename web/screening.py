"""Finds a card number wherever a request may hide one, before anybody looks further."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from domain.card_numbers import looks_like_card_number

#: A random UUID has digits that pass for a card number once in 700 times, a SHA-256
#: once in 500; clients send both as keys and references. Three letters keep a card
#: number that was merely laid out like a UUID from passing as one (RFC 9562, the
#: version and variant digits; digests of 128, 160 and 256 bits).
_HEX: Final = "[0-9A-Fa-f]"
_IDENTIFIERS: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=(?:[0-9-]{0,64}[A-Fa-f]){3})"
    rf"(?:{_HEX}{{8}}-{_HEX}{{4}}-[1-8]{_HEX}{{3}}-[89ABab]{_HEX}{{3}}-{_HEX}{{12}}"
    rf"|{_HEX}{{32}}|{_HEX}{{40}}|{_HEX}{{64}})"
    r"(?![0-9A-Za-z])"
)
#: Six digits of a second, then an offset, make a time look like a card number 6 times
#: in 100. No scheme's numbers fit hours, minutes, seconds and offsets.
_TIME: Final = re.compile(
    r"\d{4}-[01]\d-[0-3]\d[Tt ][0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,6})?"
    r"(?:[Zz]|[+-][0-2]\d:[0-5]\d)",
    re.ASCII,
)
#: Digits of the shortest card number; most names and values have no room for it.
_SHORTEST: Final = 13
#: A decimal beyond it is written out with more zeros than a card number has digits.
_PLAIN_BELOW: Final = 25


def hides_card_number(text: str) -> bool:
    """True where ``text`` has what could be a card number, identifiers aside."""
    if len(text) < _SHORTEST and text.isascii():
        return False
    if not looks_like_card_number(text):
        return False
    if _TIME.fullmatch(text):
        return False
    return looks_like_card_number(_IDENTIFIERS.sub("~", text))


def find_card_number(document: object) -> str | None:
    """The JSON pointer (RFC 6901) of the first card number in a parsed document.

    Names are looked at as well as values; a number in a name is reported at the
    object that has the name, so that the pointer never repeats it.
    """
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, dict):
            for name, item in value.items():
                if hides_card_number(name):
                    return _safe(pointer)
                waiting.append((f"{pointer}/{escaped(name)}", item))
        elif isinstance(value, list):
            waiting.extend((f"{pointer}/{at}", item) for at, item in enumerate(value))
            if hides_card_number(_joined(value)):
                return _safe(pointer)
        elif any(hides_card_number(text) for text in _texts(value)):
            return _safe(pointer)
    return None


def escaped(name: str) -> str:
    """``name`` as one step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _safe(pointer: str) -> str:
    """A path whose own steps spell a number out is not repeated."""
    return "" if hides_card_number(pointer) else pointer


def _joined(items: list[object]) -> str:
    """The items as one text: a number may be cut into a list of its groups."""
    return " ".join(text for item in items for text in _texts(item)[:1])


def _texts(value: object) -> tuple[str, ...]:
    """The ways in which a value may spell a number."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bool) or value is None:
        return ()
    if isinstance(value, int):
        return (str(value),)
    if isinstance(value, Decimal) and value.is_finite():
        # The exponent may move the point out of the way: 4.2e15.
        near = -_PLAIN_BELOW < value.adjusted() < _PLAIN_BELOW
        return (str(value), f"{value:f}") if near else (str(value),)
    return ()
