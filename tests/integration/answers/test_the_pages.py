"""Tests that each row of the documentation's tables names an existing test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from tests.integration.answers import test_amounts as amounts, test_texts as texts
from tests.integration.answers.test_paypal_answers import ANSWERS
from tests.integration.answers.test_paypal_statuses import STATUSES as PAYPAL
from tests.integration.answers.test_stripe_errors import ERRORS
from tests.integration.answers.test_stripe_statuses import STATUSES as STRIPE

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"
#: The provider's words that are parameters of each test.
ROWS: Final[dict[str, Iterable[str]]] = {
    "test_a_status_of_stripe_leads_to_its_state": STRIPE,
    "test_an_error_of_stripe_leads_to_its_state": ERRORS,
    "test_a_status_of_paypal_leads_to_its_state": PAYPAL,
    "test_an_answer_of_paypal_leads_to_its_state": ANSWERS,
    "test_an_amount_is_sent_in_the_providers_unit": amounts.TAKEN,
    "test_an_amount_that_the_provider_does_not_take_is_refused": amounts.REFUSED,
    "test_a_part_that_the_provider_does_not_take_is_refused_by_the_api": amounts.PARTS,
    "test_an_amount_over_the_providers_limit_is_refused_by_the_api": amounts.TOO_LARGE,
    "test_a_text_fits_by_any_count": texts.TEXTS,
}
_TEST: Final = re.compile(r"`(test_\w+)`")
#: The words of a row: the code in its first cell.
_WORDS: Final = re.compile(r"`([^`]+)`")


def tables(page: str) -> list[list[list[str]]]:
    """The rows of each table with a column of tests, without the heading."""
    found: list[list[list[str]]] = []
    block: list[list[str]] = []
    for line in chain((DOCS / page).read_text().splitlines(), [""]):
        if line.startswith("|"):
            block.append([one.strip() for one in line.strip("|").split("|")])
        elif block:
            if block[0][-1] == "test":
                found.append(block[2:])
            block = []
    return found


def defined() -> set[str]:
    """The names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    texts = (file.read_text() for file in files)
    return set(chain(*(re.findall(r"def (test_\w+)\(", text) for text in texts)))


@pytest.mark.parametrize("page", ["providers.md", "reliability.md"])
def test_every_row_names_a_test_that_exists(page: str) -> None:
    rows = [row for table in tables(page) for row in table]
    assert rows and all(_TEST.search(row[-1]) for row in rows), "a row without a test"
    named = {name for row in rows for cell in row for name in _TEST.findall(cell)}
    assert named - defined() == set()


@pytest.mark.parametrize("test", ROWS)
def test_every_word_of_a_provider_on_the_page_is_a_row_of_its_test(test: str) -> None:
    shown = [
        word
        for table in tables("providers.md")
        for row in table
        if f"`{test}`" in row[-1]
        for word in _WORDS.findall(row[0])
    ]
    assert sorted(shown) == sorted(ROWS[test])
