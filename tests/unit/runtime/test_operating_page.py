"""The page for operators says what the code says."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from runtime.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"


def settings_table() -> str:
    """Every setting, as the page lists it."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for field in fields(Settings):
        default = "" if field.default in ("", None) else f"`{field.default}`"
        rows.append(
            f"| `{field.metadata['name']}` | {default} | {field.metadata['help']} |"
        )
    return "\n".join(rows)


def test_the_page_lists_every_setting_with_its_default() -> None:
    assert settings_table() in PAGE.read_text()
