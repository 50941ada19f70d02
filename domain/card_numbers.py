"""Recognises card data in texts: card numbers, magnetic stripes, security codes.

A card number is recognised by the issuers' ranges with their lengths, and by its form:
digits in one piece, or the groups that are printed on a card with one kind of separator
between them. docs/security.md describes the rules for web apps.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

#: A web app puts this before an identifier of digits alone; no text has it by chance.
NOT_A_CARD: Final = "nocard_"

#: Characters of the shortest text that is refused: a security code with its name.
_SHORTEST_TEXT: Final = len("cvv=123")

#: The ranges of issuers, as leading digits, with the lengths of their numbers.
#: Sources: ISO/IEC 7812-1 (structure), github.com/braintree/credit-card-type (PayPal's
#: list for forms), Discover's and Mastercard's published range tables.
#: Visa's 13 digits are left out. They are no longer issued, and one in ten German
#: mobile numbers (49 171…), article numbers (EAN 400 to 440) and order ids of large
#: shops has that form. For the same reason 17 and 18 digits count only in the ranges
#: that issue them.
_RANGES: Final = re.compile(
    r"4(?:\d{15}|\d{18})"  # Visa; also Elo, Dankort
    r"|5[1-5]\d{14}"  # Mastercard
    r"|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard, since 2017
    r"|3[47]\d{13}"  # American Express
    r"|36\d{12}"  # Diners Club
    r"|3(?:0[0-5]\d|095|[89]\d\d)\d{12}"  # Diners Club, Hipercard
    r"|6(?:011|4[4-9]\d|5\d\d)(?:\d{12}|\d{15})"  # Discover; also Elo, RuPay, Troy
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}|81(?:\d{14}|\d{17})"  # UnionPay; also RuPay
    r"|5(?:0|[6-8])\d{14}"  # Maestro, Elo, Dankort, RuPay, Verve
    r"|(?:506\d|6304|6390|67\d\d)(?:\d{12}|\d{14}|\d{15})"  # Maestro, Verve
    r"|(?:60|82)\d{14}"  # RuPay, Hipercard
    r"|63[6-9]\d{13}"  # Elo, InterPayment, InstaPayment
    r"|220[0-4]\d{12}"  # Mir
    r"|9792\d{12}"  # Troy
)
#: Fourteen digits that Diners Club and Carte Blanche no longer issue. An article number
#: (GTIN-14) has this form too, so a number with GS1's check digit is taken for one.
_RETIRED: Final = re.compile(r"3(?:0[0-5]\d|095|[89]\d\d)\d{10}")

#: The separator between two groups; all groups of a number have the same one.
_SEPARATOR: Final = (
    r"[ ]?[-./_+~|*]{1,2}[ ]?|[ ]{1,3}|\t|\r?\n|<[Bb][Rr][ ]?/?>(?:\r?\n)?"
)
#: Digits after a decimal point are a fraction and do not count.
_NUMBERS: Final = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?:"
    # in one piece, with the zeros that fill a field of a fixed width
    rf"(?<!{NOT_A_CARD})(?P<whole>0{{0,8}}[1-9][0-9]{{13,18}})(?![0-9])"
    # in groups, wherever one begins: 4-4-4-4, 4-4-4-4-3, and shorter ones typed so
    rf"|(?=(?P<fours>[0-9]{{4}}(?P<s>{_SEPARATOR})[0-9]{{4}}(?P=s)[0-9]{{4}}(?P=s)"
    r"[0-9]{2,4})(?![0-9])(?P<rest>(?P=s)[0-9]{1,3}(?![0-9]))?)"
    # 4-6-5 (American Express), 4-6-4 (Diners Club)
    rf"|(?=(?P<six>[0-9]{{4}}(?P<t>{_SEPARATOR})[0-9]{{6}}(?P=t)[0-9]{{4,5}})(?![0-9]))"
    r")",
    re.ASCII,
)
#: Groups of four before the match: the match is part of a longer number or of an IBAN.
#: A year is no such group.
_LONGER: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?!20)[0-9]{{4}}(?P<s>{_SEPARATOR})"
    rf"|[A-Z]{{2}}[0-9]{{2}}(?P<t>{_SEPARATOR})(?:[0-9A-Z]{{4}}(?P=t)){{0,7}})\Z"
)
#: The text before the digits of a phone number or of an IBAN.
_HEAD: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:\+|[A-Z]{2}(?:[0-9]{2}[0-9A-Z]{1,16})?)\Z"
)
#: Times at the beginning of order numbers. In some years or on some days they are in
#: the ranges of Mastercard or Diners Club: yymmddHHMMSS from 2024 to 2030, ddmmyyyy
#: from 2020 to 2039.
_TIMES: Final = re.compile(
    r"(?:2[4-9]|30)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"(?:[01]\d|2[0-3])[0-5]\d[0-5]\d"
    r"|[0-3]\d(?:0[1-9]|1[0-2])20[23]\d"
)
#: Digits of the longest phone number with its calling code (ITU-T E.164).
_LONGEST_PHONE: Final = 15

#: Magnetic stripes (ISO/IEC 7813) of any issuer. Track 1 has carets around the name.
#: Tracks 2 and 3 have a start sentinel, or an expiry date and a service code after the
#: separator, which chips write as D.
_TRACKS: Final = re.compile(
    r"[0-9][0-9 ]{7,22}\^[^^]{0,30}\^"
    r"|;[0-9]{12,21}[=Dd][0-9=?]"
    r"|[0-9]{12}[=Dd][0-9]{2}(?:0[1-9]|1[0-2])[0-9]{3}"
)
#: A security code beside its name, as in a query, in JSON within a text, or in a note.
_CODES: Final = re.compile(
    r"[Cc][Vv][VvCcNn]2?(?:[\"'\]]{0,2}\s?[:=]\s?[\"']?|\s)[0-9]{3,4}(?![0-9])"
)
#: A quick test that rules out most texts: a text without a match has no card number.
_MAYBE: Final = re.compile(
    r"[0-9]{4}(?:[0-9]{8}|(?:[^0-9A-Za-z]{1,4}|<[Bb][Rr][^0-9A-Za-z]{1,5})[0-9]{4})"
)

#: Digests and random ids in hexadecimal. One SHA-256 in 5,000 has digits that pass for
#: a card number. A digest needs three letters, so that a card number with a few letters
#: beside it is none; D and F do not count, since chips write them in a magnetic stripe.
#: One letter is enough where a UUID's version and variant are in their places (RFC
#: 9562): most keys are UUIDs.
_DIGESTS: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9A-Fa-f]{8})"
    r"(?:(?=(?:[0-9DFdf-]{0,126}+[A-CEa-ce]){3})"
    r"(?:[0-9A-Fa-f]{24,128}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
    r"|(?=[0-9DFdf-]{0,35}+[A-CEa-ce])[0-9A-Fa-f]{8}(-?)[0-9A-Fa-f]{4}\1"
    r"[1-8][0-9A-Fa-f]{3}\1[89ABab][0-9A-Fa-f]{3}\1[0-9A-Fa-f]{12})(?![0-9A-Za-z])"
)

#: Names of fields whose values are sensitive authentication data or a card number (PCI
#: DSS, table 2), in small letters and without the characters between words.
_CARD: Final = r"(?:(?:credit|debit|payment|bank)?card|cc)"
_SENSITIVE: Final = re.compile(
    rf"{_CARD}?(?:cvv|cvc|cvn|cvd|cav)2?(?:code|number|no|num|value)?"
    rf"|{_CARD}(?:verification|security|validation)(?:code|number|no|num|value|data)2?"
    rf"|{_CARD}(?:csc|cid|pin|pan|number|no|num|track|trackdata)"
    r"|verificationvalue|primaryaccountnumber|pan(?:number|data)"
    r"|(?:encrypted|clear)?pin(?:block|data)"
    r"|track[123]|track[123]?(?:equivalent)?data|mag(?:netic)?stripe(?:data)?"
)
#: Names that mean other things as well, with the form of a value that is card data.
#: India's tax id is a PAN, its postal code a PIN of six digits.
_AMBIGUOUS: Final = (
    (re.compile(r"cid|csc|securitycode"), re.compile(r"^\s*\d{3,4}\s*$")),
    (re.compile(r"pin"), re.compile(r"^\s*\d{4,12}\s*$")),
    (re.compile(r"pin(?:code|number)"), re.compile(r"^\s*\d{4,5}\s*$")),
    (re.compile(r"pan|track"), re.compile(r"\d(?:[^\dA-Za-z]?\d){11}")),
)
_ANYTHING: Final = re.compile("")
_PARTS: Final = re.compile(r"[][./]")
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")
#: Characters of the longest name of a form's field.
_LONGEST_NAME: Final = 64

#: Layers of encoding that are undone: a form in a form's address.
_LAYERS: Final = 3
_ENTITY: Final = re.compile(
    r"&(?:#[0-9]{1,12}|#[Xx][0-9A-Fa-f]{1,8}|[A-Za-z]{2,32}(?=;));?"
)
#: Categories of characters that do not show: formats, marks, unassigned.
_INVISIBLE: Final = frozenset({"Cf", "Cn", "Mc", "Me", "Mn"})
#: Blank characters that are letters or symbols by category.
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
#: Characters that replace a hyphen or a point between groups, besides dashes (Pd).
_SYMBOLS: Final = {"\u2212": "-", "\u00b7": ".", "\u2022": ".", "\u2027": "."}


def has_card_data(text: str) -> bool:
    """True where ``text`` has a card number, a magnetic stripe or a security code.

    A card number has an issuer's leading digits and length and passes the Luhn check.
    Digits of other scripts, invisible characters, percent-encoding and HTML entities
    are decoded first. The time is linear in the length of ``text``.
    """
    if len(text) < _SHORTEST_TEXT:
        return False
    if text.isascii() and "%" not in text and "&" not in text:
        return _has_plain_card_data(text)
    return any(map(_has_plain_card_data, _decode_layers(text)))


def is_sensitive(name: str, value: object) -> bool:
    """True where a field of this name carries card data that must not be kept.

    A name with only that meaning counts with any value but null. A name that means
    other things too (``pin``, ``pan``, ``cid``) counts where the value has the form.
    """
    form = _pattern_for(name) if len(name) <= _LONGEST_NAME else None
    if form is None or value is None:
        return False
    return form.search(str(value) if isinstance(value, str | int) else "") is not None


@lru_cache(maxsize=1024)
def _pattern_for(name: str) -> re.Pattern[str] | None:
    """The form of card data in a field of this name; None where no value is card data.

    A form sends the name ``cvc`` as ``card[cvc]`` or ``card.cvc``.
    """
    for part in _PARTS.split(unicodedata.normalize("NFKC", name).casefold()):
        word = _BETWEEN_WORDS.sub("", part)
        if _SENSITIVE.fullmatch(word):
            return _ANYTHING
        for names, form in _AMBIGUOUS:
            if names.fullmatch(word):
                return form
    return None


def _has_plain_card_data(plain: str) -> bool:
    if _MAYBE.search(plain) and _has_number(plain):
        return True
    return ("v" in plain or "V" in plain) and _CODES.search(plain) is not None


def _has_number(text: str) -> bool:
    """Whether a plain text has a card number or a magnetic stripe."""
    text = _DIGESTS.sub("~", text)
    return _TRACKS.search(text) is not None or any(
        any(map(_is_issued, _find_candidates(text, match)))
        for match in _NUMBERS.finditer(text)
    )


def _find_candidates(text: str, match: re.Match[str]) -> Iterator[str]:
    """The digits of a match: the number, and the number with its last short group."""
    before = text[max(0, match.start() - 64) : match.start()]
    whole = match["whole"]
    if whole is not None:
        if not _is_other_number(before, whole):
            yield whole.lstrip("0")
        return
    separator = match["s"] or match["t"]
    longer = _LONGER.search(before)
    if longer and separator in (longer["s"], longer["t"]):
        return
    groups = match["fours"] or match["six"]
    yield groups.replace(separator, "")
    if match["rest"]:
        yield (groups + match["rest"]).replace(separator, "")


def _is_other_number(before: str, digits: str) -> bool:
    """Whether digits in one piece are a time, an article, a phone number or an IBAN."""
    if _TIMES.match(digits):
        return True
    if _RETIRED.fullmatch(digits) and _is_article(digits):
        return True
    head = _HEAD.search(before)
    if head is None:
        return False
    if head[0] == "+":
        return len(digits) <= _LONGEST_PHONE
    return _is_iban(head[0] + digits)


def _is_issued(number: str) -> bool:
    """Whether an issuer could have given the number out."""
    known = _RANGES.fullmatch(number) or _RETIRED.fullmatch(number)
    return known is not None and _has_luhn_digit(number)


def _has_luhn_digit(number: str) -> bool:
    """Whether the check digit of ISO/IEC 7812-1, annex B, is right."""
    digits = [int(char) for char in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_article(number: str) -> bool:
    """Whether the check digit of GS1 is right: every second digit counts triple."""
    digits = [int(char) for char in reversed(number)]
    return (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


def _is_iban(text: str) -> bool:
    """Whether the check digits of ISO 13616 are right."""
    rotated = text[4:] + text[:4]
    return int("".join(str(int(char, 36)) for char in rotated)) % 97 == 1


def _decode_layers(text: str) -> Iterator[str]:
    """The plain text, and the text after each layer of encoding is undone."""
    yield text if text.isascii() else _normalize(text)
    for _ in range(_LAYERS):
        decoded = unquote(text) if "%" in text else text
        if "&" in decoded:
            decoded = _ENTITY.sub(lambda entity: html.unescape(entity[0]), decoded)
        if decoded == text:
            return
        text = decoded
        yield text if text.isascii() else _normalize(text)


def _normalize(text: str) -> str:
    """The text with ASCII digits, spaces and hyphens, without invisible characters."""
    return "".join(map(_normalize_character, text))


@lru_cache(maxsize=4096)
def _normalize_character(char: str) -> str:
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(char)
    if category in _INVISIBLE or char in _FILLERS:
        return ""
    if category == "Zs":
        return " "
    return "-" if category == "Pd" else _SYMBOLS.get(char, char)
