"""A frozen set, before anybody runs it."""

from __future__ import annotations

import pytest

from domain.errors import Conflict
from domain.replaying import ReplaySet
from domain.submission import Mode
from tests.suites.samples import NOW


def test_a_set_that_nobody_ran_has_nobody_who_replays_it() -> None:
    frozen = ReplaySet(
        id="rep_1", mode=Mode.TEST, by="key_1", created_at=NOW, search={}, sums=()
    )
    assert frozen.count == 0
    with pytest.raises(Conflict):
        _ = frozen.who
