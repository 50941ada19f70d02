"""Mutants follow the code that they break."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.simulation.mutants import MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutants_text_stands_once_in_its_file(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.before) == 1
    assert mutant.after != mutant.before
