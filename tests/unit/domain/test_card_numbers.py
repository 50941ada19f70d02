"""Card numbers are seen in any disguise; ordinary texts are left alone."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta, timezone
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.card_numbers import looks_like_card_number

#: What the schemes' numbers begin with, and how long they are (test numbers alone
#: would prove little; these are made up and pass the Luhn check).
SCHEMES: Final = (
    ("4", 13),
    ("4", 16),
    ("4", 19),
    ("51", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("36", 14),
    ("3528", 16),
    ("6011", 16),
    ("62", 16),
    ("6759", 18),
)
#: Each between any two digits, or between any two groups.
SEPARATORS: Final = (
    "",
    " ",
    "-",
    ".",
    "/",
    " - ",
    "_",
    "\n",
    "\t",
    ", ",
    "\u00a0",
    "\u2009",
    "\u2011",
    "\u2013",
    "\u2014",
    "\u2212",
    "\u00b7",
    "\u200b",
    "\u00ad",
    "\ufeff",
    "\u2060",
    "\ufe0f\u20e3",
    "\u0336",
    "=",
    "~",
    "#",
    "%20",
    "%2D",
)
#: The zero of other scripts' digits.
ZEROS: Final = ("0", "\uff10", "\u0660", "\u06f0", "\u0966", "\U0001d7ce")

TOKEN_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """A number that passes for a card's by prefix, length and check digit."""
    prefix, length = draw(st.sampled_from(SCHEMES))
    free = length - len(prefix) - 1
    number = prefix + draw(st.text("0123456789", min_size=free, max_size=free))
    return number + _check_digit(number)


@given(
    card_numbers(),
    st.sampled_from(SEPARATORS),
    st.sampled_from(ZEROS),
    st.sampled_from((1, 4)),
    st.booleans(),
)
def test_a_card_number_is_seen_in_every_disguise(
    number: str, separator: str, zero: str, size: int, encoded: bool
) -> None:
    groups = [number[at : at + size] for at in range(0, len(number), size)]
    text = separator.join(groups).translate(
        {ord(str(digit)): chr(ord(zero) + digit) for digit in range(10)}
        if "%" not in separator
        else {}
    )
    assert looks_like_card_number(text)
    assert looks_like_card_number(f"card {text}, thanks")
    if encoded:
        assert looks_like_card_number(quote(text, safe="%"))


@given(card_numbers())
def test_a_number_with_a_wrong_check_digit_is_none(number: str) -> None:
    wrong = str((int(number[-1]) + 1) % 10)
    assert not looks_like_card_number(number[:-1] + wrong)


@pytest.mark.parametrize(
    "text", ["4242424242424242", "4000 0566 5566 5556", "2200000000000004"]
)
def test_the_numbers_that_providers_publish_for_tests_are_card_numbers(
    text: str,
) -> None:
    assert looks_like_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Order 7 for Ann, 3 of 12",
        "2026-01-30T22:45:56Z",
        "2026-01-30 22:45:56",
        "20260130T224556Z",
        "+49 30 901820",
        "+1 (202) 555-0143",
        "+44 20 7946 0958",
        "DE89 3704 0044",
        "1767268800",
        "1767268800123",
        "1767268800123456",
        "19.99",
        "pm_card_visa",
        "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "tok_1NvRQPLkdIwHu7ixEDxmqk1p",
        "https://shop.example/orders/2026/01/30?page=4",
        "192.168.100.200",
        "50% off, 100%",
        "4242 4242 4242",
        "0000000000000000",
    ],
)
def test_an_ordinary_text_is_none(text: str) -> None:
    assert not looks_like_card_number(text)


def test_of_many_ulids_none_is_refused() -> None:
    source = random.Random(1)
    for _ in range(2000):
        text = "01" + "".join(source.choices(TOKEN_LETTERS, k=24))
        assert not looks_like_card_number(f"pay_{text}")


def test_of_many_random_uuids_hardly_one_is_refused() -> None:
    source = random.Random(1)
    made = [str(uuid.UUID(int=source.getrandbits(128), version=4)) for _ in range(5000)]
    assert sum(map(looks_like_card_number, made)) < 25


@given(st.datetimes(datetime(2000, 1, 1), datetime(2032, 1, 1)))
def test_a_time_to_the_second_is_none(at: datetime) -> None:
    moment = at.replace(microsecond=0, tzinfo=timezone.utc)
    for text in (
        moment.isoformat(),
        moment.isoformat(" "),
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    ):
        assert not looks_like_card_number(text)


@given(st.integers(0, 2**40).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_unix_time_of_our_days_in_any_unit_is_none(since: timedelta) -> None:
    seconds = 1_000_000_000 + int(since.total_seconds()) % 999_999_999
    for unit in (1, 10**3, 10**6, 10**9):
        assert not looks_like_card_number(str(seconds * unit))


@given(st.text("0123456789 -", max_size=12))
def test_too_few_digits_are_none(text: str) -> None:
    assert not looks_like_card_number(text)


@given(st.text())
def test_any_text_at_all_is_looked_at_without_harm(text: str) -> None:
    looks_like_card_number(text)


def _check_digit(number: str) -> str:
    """By Luhn: doubles every second digit from the right."""
    total = 0
    for place, char in enumerate(reversed(number)):
        digit = int(char) * (2 if place % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return str(-total % 10)
