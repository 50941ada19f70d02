"""The places in the code that the pages name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
WALKTHROUGH: Final = ROOT / "docs" / "walkthrough.md"
#: Headings of the stops. Text after the last one belongs to no stop.
_STOP: Final = re.compile(r"^## \d+\. `([^`]+)`\n\n(.*?)(?=^## )", re.M | re.S)
_PLACE: Final = re.compile(r"`([\w/.-]+\.py)(?::([\w.]+))?`")


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and a function, class or method in it."""

    file: str
    name: str | None = None

    @property
    def exists(self) -> bool:
        """Whether the file is there and defines the name."""
        path = ROOT / self.file
        return path.is_file() and (self.name is None or self.name in defined(path))


@dataclass(frozen=True, slots=True)
class Stop:
    """A heading of the walkthrough, and the lines below it."""

    place: Place
    lines: list[str]


@cache
def defined(path: Path) -> frozenset[str]:
    """The qualified names that a module defines: those of methods with their class."""
    return frozenset(_names(ast.parse(path.read_text()), ""))


def _names(node: ast.AST, prefix: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name):
                yield prefix + name
                yield from _names(child, f"{prefix}{name}.")
            case ast.FunctionDef(name=name):
                yield prefix + name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield prefix + target.id


def places(text: str) -> list[Place]:
    """The places in backticks, in their order."""
    return [Place(file, name or None) for file, name in _PLACE.findall(text)]


def stops() -> list[Stop]:
    """The stops of the walkthrough."""
    return [
        Stop(places(f"`{place}`")[0], body.strip().splitlines())
        for place, body in _STOP.findall(WALKTHROUGH.read_text())
    ]


def files_of_walkthrough() -> set[str]:
    """The files that the stops name, each by its heading or its lines."""
    return {
        place.file
        for stop in stops()
        for place in (stop.place, *places("\n".join(stop.lines)))
    }


def files_beside_walkthrough() -> set[str]:
    """The files of the page's last table: a charge runs code of theirs in passing."""
    _, table = WALKTHROUGH.read_text().split("\n## How the files were counted\n")
    return {place.file for place in places(table)}
