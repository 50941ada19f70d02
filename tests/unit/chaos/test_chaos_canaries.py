"""A planted secret is found in whatever form it was written."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.chaos.canaries import (
    CARD,
    Canaries,
    leaks_in_files,
    new_word,
    search,
    searched_files,
    encodings,
)

PLANTED = Canaries(word=new_word(), api_key="sk_test_abcdefghijklmnop")


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(4))
def test_a_secret_inside_base64_is_found_at_every_offset(
    before: int, after: int
) -> None:
    text = json.dumps("x" * before + PLANTED.word + "y" * after)
    found = search([base64.b64encode(text.encode())], PLANTED.needles())
    assert found == {"personal text"}


def test_a_secret_across_two_chunks_is_found() -> None:
    text = f"before {PLANTED.api_key} after".encode()
    for cut in range(1, len(text)):
        assert search([text[:cut], text[cut:]], PLANTED.needles()) == {"API key"}


def test_base64_of_something_else_is_no_secret() -> None:
    other = new_word().encode()
    assert search([other, base64.b64encode(other)], PLANTED.needles()) == set()
    assert all(len(needle) > 8 for needle in encodings(CARD))


@pytest.mark.parametrize(
    "place",
    [
        "logs/web-1.log",
        "mongo-2/logs/mongo.log",
        "redis/appendonlydir/appendonly.aof.1.incr.aof",
        "redis.lost-0/appendonlydir/appendonly.aof.1.incr.aof",
    ],
)
def test_every_log_and_every_file_of_redis_is_searched(
    tmp_path: Path, place: str
) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(f"paid with {CARD} today")
    assert searched_files(tmp_path) == [file]
    [leak] = leaks_in_files(tmp_path, PLANTED.needles())
    assert leak == f"{place} has the card"
