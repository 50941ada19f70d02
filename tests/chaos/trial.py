"""What the smaller trials share: how they show what they found."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table


def show(
    title: str, found: Mapping[str, float | None], *, kept: bool, as_json: bool
) -> None:
    """Prints the figures by name, and whether every promise was kept."""
    if as_json:
        print(json.dumps({**found, "kept": kept}, indent=2))
        return
    table = Table(title=title, show_header=False)
    for name, value in found.items():
        table.add_row(name.replace("_", " "), _shown(value))
    table.add_row("every promise kept", "yes" if kept else "NO")
    Console(highlight=False).print(table)


def _shown(value: float | None) -> str:
    if value is None:
        return "never"
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
