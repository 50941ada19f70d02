"""The command line of the smaller trials."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

from rich.console import Console
from rich.table import Table


class TrialResult(Protocol):
    """A dataclass of figures."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""


def main(
    doc: str | None,
    watch: Callable[..., TrialResult],
    options: Mapping[str, tuple[float, str]],
) -> int:
    """Runs ``watch`` in a folder of its own; returns 0 if every promise was kept.

    ``options`` are its numbers, each with its default and its help.
    """
    parser = argparse.ArgumentParser(description=doc)
    for name, (default, help) in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=help)
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    given = vars(parser.parse_args())
    as_json = given.pop("json")
    with tempfile.TemporaryDirectory(prefix="payments-trial-") as home:
        found = watch(Path(home), **given)
    figures = {**asdict(found), "every promise kept": found.passed}
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        table = Table(show_header=False)
        for name, value in figures.items():
            table.add_row(name.replace("_", " "), _shown(value))
        Console(highlight=False).print(table)
    return 0 if found.passed else 1


def _shown(value: float | None) -> str:
    if value is None:
        return "never"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
