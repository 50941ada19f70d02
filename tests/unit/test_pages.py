"""The pages name files and names that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest

from cli.main import main
from tests.support.pages import ROOT, Place, defined

PAGES: Final = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "simulators" / "README.md"]
)
#: A changelog names former things.
NOW: Final = [page for page in PAGES if page.name != "CHANGELOG.md"]
PACKAGES: Final = {path.parent.name for path in ROOT.glob("*/__init__.py")}
FOLDERS: Final = PACKAGES | {"deploy", "docs", "examples", "requirements"}
_CODE: Final = re.compile(r"`([^`\n]+)`")
_PATH: Final = re.compile(r"([\w-]+/[\w./-]*)(?::([\w.]+))?")
_DOTTED: Final = re.compile(r"\w+(?:\.\w+)+")
_TEST: Final = re.compile(r"test_\w+")
#: A command in backticks, or in a line of its own.
_COMMAND: Final = re.compile(r"(?:^|`)payments ((?!COMMAND)[^`\n]+)", re.MULTILINE)
_LINK: Final = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def words(page: Path) -> Iterator[str]:
    """The words in backticks and in commands."""
    for code in _CODE.findall(page.read_text()):
        yield from code.split()


def is_file_or_module(path: str) -> bool:
    """Whether ``path`` exists, with or without a module's ending."""
    return (ROOT / path).exists() or (ROOT / f"{path}.py").is_file()


def is_dotted_name(name: str) -> bool:
    """Whether a dotted name is a package, a module or a name defined in one."""
    parts = name.split(".")
    if is_file_or_module("/".join(parts)):
        return True
    return any(
        Place(f"{'/'.join(parts[:split])}{ending}", ".".join(parts[split:])).exists
        for split in range(1, len(parts))
        for ending in (".py", "/__init__.py")
    )


def missing(page: Path) -> Iterator[str]:
    """The paths and dotted names of our code on ``page`` that do not exist."""
    for word in words(page):
        path, dotted = _PATH.fullmatch(word), _DOTTED.fullmatch(word)
        if path and path[1].split("/")[0] in FOLDERS:
            found = is_file_or_module(path[1])
            if not found or (path[2] and not Place(path[1], path[2]).exists):
                yield word
        elif dotted and word.split(".")[0] in PACKAGES and not is_dotted_name(word):
            yield word


def unknown_commands(page: Path) -> Iterator[str]:
    """The subcommands and options of ``payments`` on ``page`` that do not exist."""
    for line in _COMMAND.findall(page.read_text()):
        commands: list[click.Command] = [main]
        words = (word.strip("[]().,") for word in line.replace("\\|", "|").split())
        for word in words:
            groups = [one for one in commands if isinstance(one, click.Group)]
            if word.startswith("--"):
                options = [
                    option
                    for command in commands
                    for option in command.get_params(click.Context(command))
                    if isinstance(option, click.Option) and word in option.opts
                ]
                if len(options) < len(commands):
                    yield f"{line}: {word}"
                elif not options[0].is_flag:
                    next(words, None)  # the option's value
            elif len(groups) == len(commands):
                names = word.split("|")
                found = [one.commands.get(name) for one in groups for name in names]
                commands = [one for one in found if one is not None]
                if len(commands) < len(found):
                    yield f"{line}: {word}"
                    break


@cache
def names_of_tests() -> set[str]:
    """The names of all tests."""
    return {
        name
        for path in ROOT.glob("tests/**/test_*.py")
        for name in defined(path)
        if name.startswith("test_")
    }


@pytest.mark.parametrize("page", NOW, ids=lambda one: str(one.relative_to(ROOT)))
def test_page_names_paths_and_names_that_exist(page: Path) -> None:
    assert list(missing(page)) == []


@pytest.mark.parametrize("page", NOW, ids=lambda one: str(one.relative_to(ROOT)))
def test_page_names_commands_and_options_that_exist(page: Path) -> None:
    assert list(unknown_commands(page)) == []


def test_an_unknown_command_or_option_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`payments accounts pause\\|halt ID --reason WHY`, `payments show ID --jsn`\n"
        "payments webhooks --since 2h replay ID\n"
    )
    assert [one.rpartition(": ")[2] for one in unknown_commands(page)] == [
        "pause|halt",
        "--jsn",
        "replay",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda one: str(one.relative_to(ROOT)))
def test_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = _LINK.findall(page.read_text())
    assert [one for one in links if not (page.parent / one).exists()] == []


@pytest.mark.parametrize("page", NOW, ids=lambda one: str(one.relative_to(ROOT)))
def test_page_names_tests_that_exist(page: Path) -> None:
    named = {word for word in words(page) if _TEST.fullmatch(word)}
    assert named - names_of_tests() == set()


def test_pages_name_many_places() -> None:
    named = [word for page in NOW for word in words(page) if _PATH.fullmatch(word)]
    assert len(named) > 50
