"""Each module is in the table of CONTRIBUTING.md, in its package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.pages import ROOT

#: Packages without a place in the table.
OTHERS: Final = frozenset({"tests"})
_ROW: Final = re.compile(r"^\| `([\w/]+)` \| ([^|]+) \| (`[^|]+`) \|$", re.M)


def modules_in_table() -> dict[str, list[str]]:
    """The modules of each package, as the page lists them."""
    rows = _ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
    return {package: re.findall(r"`(\w+)`", modules) for package, _, modules in rows}


def packages() -> dict[str, list[str]]:
    """The modules of each package, as the tree has them."""
    tops = [path.parent for path in ROOT.glob("*/__init__.py")]
    folders = [
        path.parent
        for top in tops
        if top.name not in OTHERS
        for path in top.rglob("__init__.py")
    ]
    return {str(one.relative_to(ROOT)): modules_of(one) for one in folders}


def modules_of(folder: Path) -> list[str]:
    """The modules in a folder but its own files, ``__init__`` and ``__main__``."""
    names = sorted(path.stem for path in folder.glob("*.py"))
    return [name for name in names if not name.startswith("__")]


def test_table_has_every_package() -> None:
    assert sorted(modules_in_table()) == sorted(packages())


@pytest.mark.parametrize("package", sorted(packages()))
def test_table_has_every_module_of_the_package(package: str) -> None:
    assert modules_in_table()[package] == packages()[package]


def test_no_module_is_outside_a_package() -> None:
    tops = {name.split("/")[0] for name in packages()}
    loose = {
        str(path.relative_to(ROOT))
        for top in tops
        for path in (ROOT / top).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert loose == set()
