"""Every problem has a page, and every error shown to clients has one problem."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.api_keys import KeyNotFound
from domain.errors import PaymentsError
from persistence import accounts, api_keys, encryption, indexes
from web.problem_catalogue import CATALOGUE
from web.problem_codes import ProblemCode
from web.problems import PROBLEMS, code_of

#: The modules of the product that have errors of their own.
PACKAGES = ("domain.", "persistence.")
#: Importing them makes their errors known.
assert accounts and indexes and api_keys and encryption


def errors(kind: type[PaymentsError] = PaymentsError) -> Iterator[type[PaymentsError]]:
    """``kind`` and the errors of the product that derive from it."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith(PACKAGES):
            yield from errors(child)


def test_the_catalogue_explains_each_problem() -> None:
    assert set(CATALOGUE) == set(ProblemCode)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_an_errors_problem_has_the_errors_code(kind: type[PaymentsError]) -> None:
    assert PROBLEMS[kind] == kind.code


def test_each_error_with_a_problems_code_is_that_problem() -> None:
    named = {kind for kind in errors() if kind.code in set(ProblemCode)}
    assert named == set(PROBLEMS)


def test_an_error_without_a_problem_of_its_own_is_the_problem_of_its_base() -> None:
    assert code_of(encryption.SealBroken()) is ProblemCode.DOCUMENT_UNREADABLE


def test_an_error_that_no_client_causes_is_no_problem_of_the_catalogue() -> None:
    assert code_of(KeyNotFound()) is None
