"""Card numbers are refused at the door: this tells what looks like one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

#: Digits that people join into one number: a few characters may stand between, any
#: but letters.
_CHAINS: Final = re.compile(r"[0-9](?:[\W_]{0,3}[0-9])+")
_GROUPS: Final = re.compile(r"[0-9]+")

#: Primary account numbers have 13 to 19 digits (ISO/IEC 7812-1).
_LENGTHS: Final = range(13, 20)

#: Leading digits that card schemes use: Visa, Mastercard, Amex, Diners, JCB,
#: Discover, UnionPay, Maestro, Mir, RuPay, Troy. Others are not: a time in
#: milliseconds begins with 1.
_PREFIXES: Final = re.compile(
    r"4|5[0-8]|6|3[04-9]|8[12]|9792"
    r"|2(?:20[0-4]|22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)"
)


def looks_like_card_number(text: str) -> bool:
    """True where some run of digits in ``text`` could be a card number.

    Other scripts' digits, invisible characters and percent-encoding are seen
    through. A run passes for a card number by its length, its leading digits and
    the Luhn check, so a tenth of random 16-digit numbers of those prefixes do.
    """
    return any(
        _PREFIXES.match(number) and _luhn(number)
        for chain in _CHAINS.findall(_plain(text))
        for number in _joined(_GROUPS.findall(chain))
    )


def _plain(text: str) -> str:
    """Every digit as ASCII, without characters that do not show."""
    text = unquote(text) if "%" in text else text
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.digit(char)) if char.isdigit() else char
        for char in unicodedata.normalize("NFKC", text)
        if unicodedata.category(char) != "Cf"
    )


def _joined(groups: list[str]) -> Iterator[str]:
    """Each run of neighbouring groups that has a card number's length."""
    for first in range(len(groups)):
        number = ""
        for group in groups[first:]:
            number += group
            if len(number) > _LENGTHS[-1]:
                break
            if len(number) in _LENGTHS:
                yield number


def _luhn(number: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    digits = [int(char) for char in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
