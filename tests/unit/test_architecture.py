"""Rules of the code that no import contract can state."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: The only module of domain and application with providers' names.
RULES = ROOT / "domain" / "provider_rules.py"
#: The stripe of this module is a card's magnetic stripe.
CARDS = ROOT / "domain" / "card_numbers.py"
MODULES = {*ROOT.glob("domain/**/*.py"), *ROOT.glob("application/**/*.py")}
PROVIDER = re.compile("stripe|paypal", re.IGNORECASE)


@pytest.mark.parametrize(
    "path", sorted(MODULES - {RULES, CARDS}), ids=lambda one: one.stem
)
def test_only_the_rules_of_domain_and_application_name_a_provider(
    path: Path,
) -> None:
    assert list(names_of_providers(path)) == []


def test_the_rules_name_the_providers() -> None:
    assert list(names_of_providers(RULES))


def names_of_providers(path: Path) -> Iterator[str]:
    """The lines whose code names a provider; comments and docstrings may."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        for text in () if id(node) in docs else _words(node):
            if PROVIDER.search(text):
                line = getattr(node, "lineno", 0)
                yield f"{path.relative_to(ROOT)}:{line}: {text}"


def _words(node: ast.AST) -> Iterator[str]:
    """The identifiers and texts of one node, its children aside."""
    for name in ("id", "attr", "name", "asname", "arg", "module", "value"):
        text = getattr(node, name, None)
        if isinstance(text, str):
            yield text
