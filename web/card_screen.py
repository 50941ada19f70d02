"""Finds card data in a parsed document that is within bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from domain.card_numbers import has_card_data, is_sensitive

#: Values of a document, nested ones included. A replay of 1,000 payments has the most.
MAX_VALUES: Final = 2_000
#: Levels of objects and lists; a payment has three.
MAX_DEPTH: Final = 16
#: Characters of a name; those of metadata have 40 at most.
MAX_NAME: Final = 256
#: Digits of the longest card number (ISO/IEC 7812-1).
_DIGITS: Final = 19

#: The names and indexes that lead to a value.
Steps = tuple[int | str, ...]


def is_within_bounds(document: object) -> bool:
    """Whether the document is small enough to screen every value."""
    depth, count, level = 0, 1, [document]
    while level:
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                if max(map(len, one), default=0) > MAX_NAME:
                    return False
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        depth += 1
        count += len(inner)
        if depth > MAX_DEPTH or count > MAX_VALUES:
            return False
        level = inner
    return True


def find_card_data(document: object) -> Steps | None:
    """Returns the path to the first card data in a document within bounds.

    Names are screened as well as values. For a card number in a name the path ends at
    the object with that name, so that the path never repeats the number.
    """
    if isinstance(document, str):
        return () if has_card_data(document) else None
    if isinstance(document, dict):
        for name, value in document.items():
            if has_card_data(name):
                return ()
            if is_sensitive(name, value):
                return (name,)
            found = find_card_data(value)
            if found is not None:
                return (name, *found)
    elif isinstance(document, list):
        for at, value in enumerate(document):
            found = find_card_data(value)
            if found is not None:
                return (at, *found)
    elif isinstance(document, int | Decimal):
        return () if has_card_data(_digits(document)) else None
    return None


def _digits(number: int | Decimal) -> str:
    """Returns the digits of a whole number not longer than a card number, or ""."""
    if isinstance(number, Decimal):
        # The exponent is checked first, because 1e999999 has a million digits.
        if number.adjusted() > _DIGITS or number != number.to_integral_value():
            return ""
        number = int(number)
    return str(abs(number)) if abs(number) < 10**_DIGITS else ""
