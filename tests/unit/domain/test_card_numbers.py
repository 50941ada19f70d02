"""Card data is detected in any notation; similar numbers pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import assume, given, strategies as st

from domain.card_numbers import NOT_A_CARD, has_card_data, is_sensitive
from tests.support.card_number_lookalikes import COUNT, SHAPES, refused

#: Test numbers published by card schemes, Stripe, PayPal and Adyen.
PUBLISHED: Final = (
    *("4242424242424242", "4111111111111111", "4012888888881881", "4000056655665556"),
    *("5555555555554444", "5105105105105100", "2223003122003222", "5200828282828210"),
    *("378282246310005", "371449635398431", "378734493671000"),
    *("6011111111111117", "6011000990139424", "6011981111111113", "6445644564456445"),
    *("36227206271667", "36259600000004", "36006666333344", "3056930009020004"),
    *("30569309025904", "38520000023237", "38520000009814"),
    *("3566002020360505", "3530111333300000", "3569990010095841"),
    *("6200000000000005", "6205500000000000004", "8171999900000000021"),
    *(
        "6759649826438453",
        "6799990100000000019",
        "6771798021000008",
        "5000550000000029",
    ),
    *("6304219447607087665", "5019717010103742", "5066991111111118"),
    *("2200000000000004", "6062826786276634", "9792020000000001"),
    "5060990580000217499",
)
#: Prefixes of issuers with the lengths of their numbers.
RANGES: Final = (
    *(("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16)),
    *(("34", 15), ("37", 15), ("36", 14), ("300", 16), ("305", 16), ("38", 16)),
    *(("3528", 16), ("3589", 16), ("6011", 16), ("644", 16), ("65", 19), ("62", 16)),
    *(("62", 17), ("62", 19), ("81", 16), ("6759", 18), ("50", 16), ("58", 16)),
    *(("2204", 16), ("60", 16), ("82", 16), ("508", 16), ("353", 16), ("9792", 16)),
)
SEPARATORS: Final = (
    *(" ", "-", ".", "/", "_", "+", " - ", "  ", "\t", "\n", "\r\n"),
    # No-break, thin, figure and ideographic spaces; hyphens, dashes, minus, points.
    *("\u00a0", "\u2009", "\u2007", "\u3000", "\u2010", "\u2011", "\u2013", "\u2014"),
    *("\u2212", "\u00b7", "\u2022"),
)
#: Characters that do not show: format, combining, variation, fillers, keycaps.
INVISIBLE: Final = (
    *("\u200b", "\u00ad", "\ufeff", "\u2060", "\ufe0f\u20e3", "\u0336", "\u3164"),
    *("\ufe00", "\U000e0100", "\u115f", "\u180e", "\u2800", "\u0301"),
)
#: The zero of other scripts' digits.
ZEROS: Final = ("0", "\uff10", "\u0660", "\u06f0", "\u0966", "\U0001d7ce", "\u2080")
#: Encodings of a text in transit.
ENCODINGS: Final[dict[str, Callable[[str], str]]] = {
    "none": str,
    "percent": quote,
    "percent, every character": lambda text: _escape(text, "%{:02X}"),
    "percent twice": lambda text: quote(_escape(text, "%{:02x}")),
    "entities": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(char):x}" for char in text),
    "entities, percent": lambda text: quote(
        "".join(f"&#{ord(char)};" for char in text)
    ),
}


def _escape(text: str, form: str) -> str:
    return "".join(form.format(byte) for byte in text.encode())


def groups(number: str) -> list[list[str]]:
    """The ways in which the number is printed and typed in groups."""
    fours = [number[at : at + 4] for at in range(0, len(number), 4)]
    if len(number) in (14, 15):
        return [fours, [number[:4], number[4:10], number[10:]]]
    return [fours]


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """A number within an issuer's range."""
    prefix, length = draw(st.sampled_from(RANGES))
    free = length - len(prefix) - 1
    number = prefix + draw(st.text("0123456789", min_size=free, max_size=free))
    # A time with its counter is mistaken for one.
    assume(not re.match(r"(2[4-9]|30)(0[1-9]|1[0-2])|..(0[1-9]|1[0-2])20", number))
    return number + _check_digit(number)


@st.composite
def written(draw: st.DrawFn, numbers: st.SearchStrategy[str]) -> str:
    """A card number in some notation."""
    number = draw(numbers)
    how = draw(st.sampled_from(("in one piece", "in groups", "with what is invisible")))
    if how == "in groups":
        number = draw(st.sampled_from(SEPARATORS)).join(
            draw(st.sampled_from(groups(number)))
        )
    elif how == "with what is invisible":
        number = draw(st.sampled_from(INVISIBLE)).join(
            draw(st.sampled_from((groups(number)[0], list(number))))
        )
    zero = ord(draw(st.sampled_from(ZEROS)))
    number = number.translate({48 + digit: zero + digit for digit in range(10)})
    around = draw(
        st.sampled_from(
            (
                *("{}", "card {}, thanks", "card{}end", "visa:{}", "({})", "CARD {}"),
                *("{} 12/28 123", "order-{}", "no.{}.", "https://shop.example/?n={}&x"),
                '{{"note": "{}"}}',
            )
        )
    )
    return around.format(number)


@given(written(st.sampled_from(PUBLISHED)), st.sampled_from(sorted(ENCODINGS)))
def test_a_published_test_number_is_seen_as_it_is_written(
    text: str, encoding: str
) -> None:
    assert has_card_data(ENCODINGS[encoding](text))


@given(written(card_numbers()), st.sampled_from(sorted(ENCODINGS)))
def test_a_number_of_an_issuers_range_is_seen_as_it_is_written(
    text: str, encoding: str
) -> None:
    assert has_card_data(ENCODINGS[encoding](text))


@pytest.mark.parametrize("number", PUBLISHED)
def test_each_published_test_number_is_seen_in_each_layout(number: str) -> None:
    assert has_card_data(number)
    for separator in SEPARATORS:
        for parts in groups(number):
            assert has_card_data(separator.join(parts)), separator


@pytest.mark.parametrize(
    "text",
    [
        "10%5555555555554444",
        "4242\u31644242\u31644242\u31644242",
        "4\ufe0f242424242424242",
        "4242&nbsp;4242&nbsp;4242&nbsp;4242",
        "4242 4242 4242 4242 123",
        "4242--4242--4242--4242",
        "3782 -- 822463 -- 10005",
        "5555..5555..5555..4444",
        "4242<br>4242<br>4242<br>4242",
        "4242<BR />\n4242<BR />\n4242<BR />\n4242",
        "4242&lt;br/&gt;4242&lt;br/&gt;4242&lt;br/&gt;4242",
        "4242-4242-4242-4242-1228",
        "0004242424242424242",
        "00000378282246310005",
        "exp 2028 4242 4242 4242 4242",
        "Room 12 4242 4242 4242 4242",
        "DK4242424242424242",
        "+4242424242424242",
        "pan=4242424242424242exp1228cvv123",
        "https://shop.example/done?cvv=123",
        "card expires 12/30, CVV 123",
        "card[cvc]=123",
        '{"cvv2": "1234"}',
        "CVV: 123",
    ],
)
def test_stray_card_data_is_detected(text: str) -> None:
    assert has_card_data(text)


def test_encodings_are_undone_three_times_at_most() -> None:
    text = "4242424242424242"
    for _ in range(3):
        text = _escape(text, "%{:02X}")
        assert has_card_data(text)
    assert not has_card_data(_escape(text, "%{:02X}"))


@given(card_numbers())
def test_a_number_with_a_wrong_check_digit_is_no_card_number(number: str) -> None:
    wrong = str((int(number[-1]) + 1) % 10)
    assert not has_card_data(number[:-1] + wrong)


@given(
    st.text("0123456789", min_size=12, max_size=19),
    st.sampled_from(
        (
            "%B{}^DOE/JOHN^30121010000000000000?",
            "B{}^DOE JOHN               ^3012101",
            "B{}^/^^",
            ";{}=30121010000000000000?",
            "{}=3012101",
            "{}D30121010000000000000F",
            "{}d3012201000000000000fffffff",
            ";{}==1013?",
            "swiped: {}=9901120123",
        )
    ),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_a_magnetic_stripe_of_any_issuer_is_detected(
    digits: str, form: str, encoding: str
) -> None:
    assert has_card_data(ENCODINGS[encoding](form.format(digits)))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_similar_number_is_no_card_number(shape: str) -> None:
    """Fewer than one in 1,000 are refused, all of them in an issuer's range."""
    found = refused(shape)
    assert len(found) < COUNT / 1000, found[:3]
    for text in found:
        assert re.search(r"(?<![0-9])[0-9]{14,19}(?![0-9])", text), text
        assert not has_card_data(re.sub("([0-9]{14,19})", rf"{NOT_A_CARD}\1", text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Order 7 for Ann, 3 of 12",
        "shop40-1796030123-17",
        "+49 171 23456789",
        "4917123456789",
        "DE89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "IT64 T551 6023 9704 4251 8068 557",
        "DK5000400440116243",
        "4006381333931",
        "30000000000000",
        "9405 5116 9900 0000 0000 00",
        "52.4242424242424242",
        "2611301245560049",
        "3011202612450000",
        "4242, 4242, 4242, 4242",
        "4242 4242-4242 4242",
        "4242 4242 4242",
        "0000000000000000",
        "4111111111111111aaaaaaaaaaaaaaaa",
        "61502dee-3518-4376-8241-0ad1f6da7a63",
        "1b2d5029-3411-4403-8647-7f070954683f",
        "f5627861a6534987988074340a273880",
        "5d8f6cce532a7aeb57196be62344095936793400b3aeb3580d248b17d5518a86",
        "pm_card_visa",
        "50% off, 100% & more &amp; &nbsp;",
        "cvv_check=pass",
        "https://shop.example/?cvv=",
        "CVV 12345",
        "the CVC of 2024",
        f"{NOT_A_CARD}4242424242424242",
        f"order-{NOT_A_CARD}4242424242424242",
    ],
)
def test_an_ordinary_text_is_no_card_number(text: str) -> None:
    assert not has_card_data(text)


def test_the_prefix_of_identifiers_exempts_only_unbroken_digits() -> None:
    assert has_card_data(f"{NOT_A_CARD}4242 4242 4242 4242")
    assert has_card_data(f"{NOT_A_CARD}4242424242424242=30121010000000000000")
    assert has_card_data(f"{NOT_A_CARD}1,4242424242424242")


@given(st.text(st.one_of(st.characters(), st.sampled_from("0123456789 -.%&#;=^"))))
def test_a_text_without_twelve_digits_is_no_card_number(text: str) -> None:
    assume(sum(char.isdigit() for char in text) < 12)
    assume(not re.search("cv[vcn]", text, re.IGNORECASE))
    assert not has_card_data(text)


@given(st.text("0123456789 -.%&#;=^DBcv\u0660\ufdfa\u200b"))
def test_any_text_is_examined_without_an_error(text: str) -> None:
    has_card_data(text)
    is_sensitive(text, text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "123") for name in ("cvv", "CVC", "cvv2", "cvc2", "cvvCode", "cvn")),
        *((name, "123") for name in ("cardCvc", "card_cvv", "cc-cvv", "creditCardCVV")),
        *((name, "123") for name in ("card[cvc]", "card.cvc", "payment/cvv", "C V V")),
        *((name, 123) for name in ("cid", "csc", "security_code", "cardSecurityCode")),
        ("card_verification_value", "123"),
        ("cardVerificationCode", ""),
        ("\uff43\uff56\uff56", "123"),
        *((name, "1234") for name in ("pin", "PIN", "pin_code", "card-pin", " pin ")),
        *((name, "0A1B") for name in ("pin_block", "pinBlock", "encrypted_pin_block")),
        *((name, "x") for name in ("track1", "track_2", "track1_data", "trackData")),
        *((name, "x") for name in ("track2EquivalentData", "mag_stripe")),
        *((name, "x") for name in ("card_number", "cardNumber", "Card No", "ccnum")),
        ("pan", "1234 5678 9012 3456"),
        ("track", ";123456789012=0101"),
        ("primary-account-number", {"value": "x"}),
    ],
)
def test_a_name_of_sensitive_data_is_seen(name: str, value: object) -> None:
    assert is_sensitive(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pin_code_postal", "110001"),
        ("pin_code", "110001"),
        ("pin", "ABCD"),
        ("pin", {"value": "1234"}),
        ("pinned", "1234"),
        ("company", "1234"),
        ("pancake", "123456789012"),
        ("pan", "ABCDE1234F"),
        ("tracking_number", "123456789012345"),
        ("track", "Main stage"),
        ("soundtrack1", "123456789012"),
        ("cid", "GA1.2.1234.5678"),
        ("cvc_check", "pass"),
        ("cvv_result", "M"),
        ("card_id", "1234"),
        ("card_last4", "4242"),
        ("gift_card_number", "123456789012"),
        ("security", "123"),
        ("discount", "123"),
        ("cvv", None),
        ("", "1234"),
        ("cvv" * 30, "123"),
    ],
)
def test_a_similar_name_is_not_sensitive(name: str, value: object) -> None:
    assert not is_sensitive(name, value)


def _check_digit(number: str) -> str:
    """The Luhn check digit."""
    total = 0
    for place, char in enumerate(reversed(number)):
        digit = int(char) * (2 if place % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return str(-total % 10)
