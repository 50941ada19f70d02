"""Tests that texts from providers are safe to store and to print."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from hypothesis import given, strategies as st

from providers.sanitize import (
    clean_json,
    validated_id,
    parse_optional,
    parse_own_id,
    parse_page_url,
    parse_json,
    parse_lines,
    parse_sentence,
    parse_rfc3339,
    parse_unix_time,
)

PAYMENT = "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#: Any text, halves of surrogate pairs and NUL included.
TEXTS = st.text(st.characters())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def texts(value: Any) -> list[str]:
    """Every text in a JSON value."""
    match value:
        case str():
            return [value]
        case list():
            return [text for one in value for text in texts(one)]
        case dict():
            return [*value, *texts(list(value.values()))]
    return []


@given(VALUES)
def test_parsed_json_has_only_texts_that_can_be_stored_and_sent(value: object) -> None:
    parsed = parse_json(json.dumps(value).encode())
    bson.encode({"texts": texts(parsed)})
    assert not any("\0" in text for text in texts(parsed))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_parsed_json_keeps_every_other_text(text: str) -> None:
    for written in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        assert parse_json(written.encode()) == text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\uD83D\uDE00"', "\U0001f600"),
        (rb'"\\ud800"', "\\ud800"),
        (rb'"\\\ud800"', "\\\ufffd"),
        (rb'"\u0000"', "\ufffd"),
        (b'"\xed\xa0\x80\xff"', "\ufffd" * 4),
    ],
)
def test_half_a_surrogate_pair_is_replaced_and_nothing_else(
    written: bytes, read: str
) -> None:
    assert parse_json(written) == read


@given(st.binary())
def test_cleaning_any_bytes_gives_utf_8(body: bytes) -> None:
    clean_json(body).decode()


@pytest.mark.parametrize(
    "given_id",
    [
        *(f"{PAYMENT}\n", PAYMENT.lower(), f" {PAYMENT}", "", "order-1", "\ud800"),
        *(
            None,
            17,
            1.5,
            True,
            [],
            {},
            [PAYMENT],
            PAYMENT * 100_000,
            PAYMENT[:-1] + "I",
        ),
    ],
)
def test_only_an_id_of_our_shape_is_ours(given_id: object) -> None:
    assert parse_own_id(given_id) is None
    assert parse_own_id(PAYMENT) == PAYMENT


@pytest.mark.parametrize("name", [None, 5, "", "a\n", "\ud800", "x" * 129, [], {}])
def test_a_providers_name_is_short_and_printable(name: object) -> None:
    with pytest.raises(ValueError):
        validated_id(name)
    assert parse_optional(validated_id, name) is None


@pytest.mark.parametrize(
    "url", [None, 5, "", "javascript:alert(1)", "https://a b", "https://a\n", []]
)
def test_a_page_is_at_an_address_of_the_web(url: object) -> None:
    with pytest.raises(ValueError):
        parse_page_url(url)
    assert parse_page_url("https://pay.example/?a=1") == "https://pay.example/?a=1"


def test_a_sentence_has_no_control_characters() -> None:
    assert parse_sentence("no\x1b[2J\nway", otherwise="") == "no [2J way"


@pytest.mark.parametrize(
    "at", [None, True, 1.5, "1", 10**18, -(10**18), -1, 10**30, 60_000_000_000, []]
)
def test_a_number_of_seconds_out_of_range_is_not_a_time(at: object) -> None:
    with pytest.raises(ValueError):
        parse_unix_time(at)
    assert parse_unix_time(1_767_268_800) == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    [
        *(None, 5, "", "soon", "2026-13-01T00:00:00Z", []),
        *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
        *("1969-12-31T23:59:59Z", "3000-01-01T00:00:00Z"),
    ],
)
def test_a_text_out_of_range_is_not_a_time(at: object) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(at)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert parse_rfc3339("2026-01-01T13:00:00+01:00") == noon
    assert parse_rfc3339("2026-01-01T12:00:00") == noon


def test_an_unreadable_line_hides_no_other() -> None:
    lines: list[object] = ["1", None, "x", "3", ""]
    found, failed = parse_lines(
        lines, lambda one: int(str(one)) if one else None, lambda one: one
    )
    assert (found, failed) == ([1, 3], ["x"])
