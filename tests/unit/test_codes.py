"""Codes that decide something are members of enums, never literals.

A literal with a member's value would survive a renaming of the member. So no module of
the product compares with one, passes one or has one in a table.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from domain.conflict_reasons import ConflictReason
from domain.error_details import ErrorDetail
from domain.errors import ProviderError
from domain.payments.answer import Failure
from domain.payments.event_types import EventType
from domain.payments.failure_codes import FailureCode
from domain.payments.review_reasons import LookupReason, ReviewReason
from domain.payments.apply_answer import escalate
from domain.webhook_refusals import WebhookRefusal
from web.problem_codes import FieldErrorCode, ProblemCode

ROOT: Final = Path(__file__).parents[2]
#: Packages that import nothing of the product, and have codes of their own.
OTHERS: Final = frozenset({"bench", "simulators", "tests"})
ENUMS: Final[tuple[type[StrEnum], ...]] = (
    ConflictReason,
    ErrorDetail,
    EventType,
    FailureCode,
    FieldErrorCode,
    LookupReason,
    ProblemCode,
    ReviewReason,
    WebhookRefusal,
)
#: Members whose values are also common words of other subjects, such as names of
#: fields. Only mypy and the test of calls with codes cover these.
COMMON: Final = frozenset[StrEnum](
    {ReviewReason.STATUS, ReviewReason.OTHER, ProblemCode.STUCK}
)
#: Codes of a provider's own that happen to have a member's value.
OF_PROVIDERS: Final = {"providers/decline_codes.py": {"not_permitted"}}
#: Calls whose texts are names: of fields, or of events of the log.
NAMING: Final = frozenset({"get", "getattr", "exception", "error", "warning", "info"})


def names_of_errors(kind: type[ProviderError] = ProviderError) -> Iterator[str]:
    """The names of ``kind`` and of all errors that derive from it."""
    yield kind.__name__
    for child in kind.__subclasses__():
        yield from names_of_errors(child)


#: Calls that take a code, which may be a provider's text but never a literal, and the
#: place of the code among their arguments.
TAKING: Final = {
    **dict.fromkeys(names_of_errors(), 0),
    Failure.__name__: 0,
    escalate.__name__: 2,
}

VALUES: Final = {one.value for enum in ENUMS for one in enum if one not in COMMON}


@cache
def modules() -> dict[str, list[ast.AST]]:
    """The syntax of each module of the product, by its path."""
    return {
        str(path.relative_to(ROOT)): list(ast.walk(ast.parse(path.read_text())))
        for package in ROOT.glob("*/__init__.py")
        if package.parent.name not in OTHERS
        for path in package.parent.rglob("*.py")
    }


def called(node: ast.Call) -> str:
    """The last name of a called expression."""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def operands(node: ast.AST) -> list[ast.expr | None]:
    """The expressions in ``node`` that are compared or passed."""
    match node:
        case ast.Compare():
            return [node.left, *node.comparators]
        case ast.MatchValue():
            return [node.value]
        case ast.Set():
            return [*node.elts]
        case ast.Dict():
            return [*node.keys]
        case ast.Call(func=ast.Attribute(value=ast.Constant(str(words)), attr="split")):
            return [ast.Constant(word) for word in words.split()]
        case ast.Call() if called(node) not in NAMING:
            return [*node.args, *(one.value for one in node.keywords)]
    return []


def texts(expression: ast.expr | None) -> Iterator[str]:
    """The literals that ``expression`` may be, or contains as a collection."""
    match expression:
        case ast.Constant(value=str(text)):
            yield text
        case ast.BoolOp() as either:
            for one in either.values:
                yield from texts(one)
        case ast.IfExp() as choice:
            yield from texts(choice.body)
            yield from texts(choice.orelse)
        case ast.Tuple() | ast.List() | ast.Set() as collection:
            for one in collection.elts:
                yield from texts(one)


def bare_codes(nodes: Iterable[ast.AST]) -> set[str]:
    """The literals that stand for members."""
    return {
        text
        for node in nodes
        for expression in operands(node)
        for text in texts(expression)
        if text in VALUES
    }


@pytest.mark.parametrize(
    "source",
    [
        f'error.detail == "{ErrorDetail.NO_ANSWER}"',
        f'error.detail in {{"{ErrorDetail.NO_ANSWER}", "another"}}',
        f'NotSent("{ErrorDetail.WORKER_STOPPING}")',
        f'payment.moved(after, trigger, event="{EventType.ATTEMPT_ANSWERED}")',
        f'OURS = frozenset({{"{ErrorDetail.WORKER_STOPPING}"}})',
        f'LABELS = {{"{ReviewReason.NOTHING_FOUND}": 1}}',
        f'OURS = "another {ReviewReason.VANISHED}".split()',
        f'Problem(code or "{ProblemCode.CONFLICT}")',
        f'match event.type:\n    case "{EventType.OPERATION_CORRECTED}":\n        pass',
    ],
)
def test_a_literal_in_place_of_a_member_is_found(source: str) -> None:
    assert bare_codes(ast.walk(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "error.detail == ErrorDetail.NO_ANSWER",
        f'log.error("{ErrorDetail.CREDENTIALS_UNAVAILABLE}")',
        f'code = "{ProblemCode.CONFLICT}"',
        'error.detail == "a_code_of_theirs"',
    ],
)
def test_any_other_literal_is_not_a_code(source: str) -> None:
    assert not bare_codes(ast.walk(ast.parse(source)))


def test_a_module_names_codes_by_their_enums() -> None:
    found = {
        path: codes for path, nodes in modules().items() if (codes := bare_codes(nodes))
    }
    assert found == OF_PROVIDERS
    assert len(modules()) > 100


def test_an_argument_for_a_code_is_never_a_literal() -> None:
    literals = [
        (path, node.lineno)
        for path, nodes in modules().items()
        for node in nodes
        if isinstance(node, ast.Call) and called(node) in TAKING
        for text in code_arguments(node)
        if isinstance(text, ast.Constant | ast.JoinedStr)
    ]
    assert literals == []


def code_arguments(node: ast.Call) -> Iterator[ast.expr]:
    """The argument of the code, and its alternatives."""
    at = TAKING[called(node)]
    named = [one.value for one in node.keywords if one.arg in ("code", "detail", "why")]
    for one in [*node.args[at : at + 1], *named]:
        yield from one.values if isinstance(one, ast.BoolOp) else [one]


@pytest.mark.parametrize("enum", ENUMS)
def test_each_member_is_used(enum: type[StrEnum]) -> None:
    used = {
        node.attr
        for nodes in modules().values()
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in (enum.__name__, "cls")
    }
    assert {one.name for one in enum} <= used
