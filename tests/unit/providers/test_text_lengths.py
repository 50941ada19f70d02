"""Tests that truncated texts fit by every server's count."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

import pytest
from hypothesis import given, strategies as st

from domain.payments.submission import ProviderName
from providers.sanitize import truncate, parse_sentence
from tests.support.uncalled_adapters import PAYPAL, STRIPE
from tests.unit.providers.test_prepare import prepared

#: Letters, marks, joined emoji, flags, and halves of surrogate pairs.
PIECES: Final = st.sampled_from(
    ["a", "é", "e\u0301", "漢", "😀", "👍🏽", "👩\u200d🚀", "🇩🇪", "\ud83d", "\ude00"]
)
texts = st.lists(PIECES, max_size=60).map("".join)
limits = st.integers(min_value=1, max_value=200)


def counts(text: str) -> tuple[int, int, int]:
    """The counts of code points, UTF-16 units and UTF-8 bytes."""
    return len(text), len(text.encode("utf-16-le")) // 2, len(text.encode())


def readable(text: str) -> str:
    """The text with ``?`` for half surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


@given(texts, limits)
def test_a_truncated_text_fits_by_any_count_and_is_the_beginning(
    text: str, most: int
) -> None:
    kept = truncate(text, most)
    assert max(counts(kept)) <= most
    assert readable(text).startswith(kept)


@given(texts, limits)
def test_a_text_that_fits_is_not_truncated(text: str, most: int) -> None:
    whole = readable(text)
    assert (truncate(text, most) == whole) is (len(whole.encode()) <= most)


@given(texts.filter(bool), st.integers(min_value=16, max_value=200))
def test_a_grapheme_is_never_split(text: str, most: int) -> None:
    kept, whole = truncate("a" + text, most), readable("a" + text)
    if kept == whole or not kept.isascii() and len(set(kept)) < 3:
        return  # nothing but one flag after another has no place to be cut
    after = whole[len(kept)]
    assert not unicodedata.category(after).startswith("M")
    assert after != "\u200d" and kept[-1] != "\u200d"
    assert not "\U0001f3fb" <= after <= "\U0001f3ff"


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("a" * 126 + "😀", 127, "a" * 126),
        ("a" * 125 + "e\u0301", 127, "a" * 125),
        ("a" * 124 + "e\u0301", 127, "a" * 124 + "e\u0301"),
        ("a🇩🇪🇫🇷", 13, "a"),
        ("👩\u200d🚀", 8, "👩\u200d"),
        ("\u0301" * 3, 4, "\u0301" * 2),
        ("", 5, ""),
    ],
)
def test_a_text_is_truncated_to_whole_characters(
    text: str, most: int, kept: str
) -> None:
    assert truncate(text, most) == kept


@given(texts)
def test_a_providers_sentence_can_be_stored(text: str) -> None:
    kept = parse_sentence(text, otherwise="none")
    assert 0 < max(counts(kept)) <= 300


@given(texts.filter(lambda one: 0 < len(one) <= 500), texts)
def test_every_sent_text_is_within_its_limit(description: str, reference: str) -> None:
    asked = {
        "description": readable(description),
        "reference": readable(reference)[:100],
    }
    sent = prepared(STRIPE, payment_method="pm_card_visa", **asked)
    assert max(counts(sent["description"])) <= 1000
    for name, value in sent["metadata"].items():
        assert max(counts(name)) <= 40 and max(counts(value)) <= 500
    [unit] = prepared(PAYPAL, provider=ProviderName.PAYPAL, **asked)["purchase_units"]
    for name in ("description", "custom_id", "invoice_id"):
        assert 0 < max(counts(unit[name])) <= 127
    assert json.dumps(unit)
