"""Round robin over several lines."""

from __future__ import annotations

from hypothesis import given, strategies as st

from application.dispatch import round_robin

names = st.text("abcdef", min_size=1, max_size=2)


@given(st.lists(st.lists(names)), st.integers(0, 9))
def test_each_id_comes_once_within_the_bound(lines: list[list[str]], most: int) -> None:
    taken = round_robin(lines, most)
    everybody = {one for line in lines for one in line}
    assert len(taken) == len(set(taken)) == min(most, len(everybody))
    assert set(taken) <= everybody


def test_a_long_line_does_not_delay_another() -> None:
    long, short = [f"a{number}" for number in range(9)], ["b1", "b2"]
    assert round_robin([long, short], 5) == ["a0", "b1", "a1", "b2", "a2"]
