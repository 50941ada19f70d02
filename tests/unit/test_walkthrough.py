"""docs/walkthrough.md has ten stops and at most twenty files, and all exist."""

from __future__ import annotations

from tests.support.pages import (
    WALKTHROUGH,
    files_beside_walkthrough,
    files_of_walkthrough,
    places,
    stops,
)


def test_walkthrough_has_ten_stops_of_three_lines() -> None:
    assert [len(stop.lines) for stop in stops()] == [3] * 10


def test_the_walkthrough_names_existing_places() -> None:
    named = places(WALKTHROUGH.read_text())
    assert [place for place in named if not place.exists] == []


def test_stop_of_the_walkthrough_is_a_function() -> None:
    assert [stop.place for stop in stops() if stop.place.name is None] == []


def test_way_of_a_charge_has_at_most_twenty_files() -> None:
    assert len(files_of_walkthrough()) <= 20


def test_walkthrough_states_the_numbers_of_files() -> None:
    text, way, beside = (
        WALKTHROUGH.read_text(),
        files_of_walkthrough(),
        files_beside_walkthrough(),
    )
    assert not way & beside
    assert f"functions in {len(way | beside)} files" in text
    assert f"name {len(way)} of them" in text
    assert f"The other {len(beside)} are" in text
