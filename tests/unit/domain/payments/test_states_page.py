"""The page of the states equals the table in the code."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[4] / "docs"


def test_the_page_of_the_states_is_current() -> None:
    written = runpy.run_path(str(DOCS / "states.py"))["render_page"]()
    assert (DOCS / "states.md").read_text() == written, "run `make docs`"
