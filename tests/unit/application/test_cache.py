"""The cache: bounded, limited in time, and one load for simultaneous misses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from application.cache import Cache

#: Seconds that a test waits for a thread.
PATIENCE = 20


class Missing(Exception):
    """The source has no such value."""


class Away(Exception):
    """The source is unavailable."""


class Source:
    """Values and the counts of their loads; ``raises`` makes loads fail."""

    def __init__(self, size: int = 2) -> None:
        self.values = {"a": 1, "b": 2, "c": 3}
        self.loads: list[str] = []
        self.raises: Exception | None = None
        self.now = 0.0
        self.cache = Cache[str, int](
            size=size,
            seconds=10,
            failures=(Missing,),
            failure_seconds=3,
            failures_size=2,
            outages=(Away,),
            clock=lambda: self.now,
        )

    def get(self, key: str) -> int:
        return self.cache.get(key, lambda: self._load(key))

    def _load(self, key: str) -> int:
        self.loads.append(key)
        if self.raises is not None:
            raise self.raises
        if key not in self.values:
            raise Missing(key)
        return self.values[key]


class SlowLoad:
    """A load that ends at an event."""

    def __init__(self, answer: Callable[[], int]) -> None:
        self.loads = 0
        self.started, self.may_end = Event(), Event()
        self._answer = answer

    def __call__(self) -> int:
        self.loads += 1
        self.started.set()
        assert self.may_end.wait(PATIENCE)
        return self._answer()


def _fail() -> int:
    raise Away


def test_a_value_is_loaded_once_within_its_time() -> None:
    source = Source()
    assert [source.get("a") for _ in range(9)] == [1] * 9
    source.values["a"] = 7
    source.now = 9.9
    assert source.get("a") == 1
    source.now = 10.0
    assert source.get("a") == 7
    assert source.loads == ["a", "a"]


def test_the_value_loaded_longest_ago_is_evicted() -> None:
    source = Source(size=2)
    source.get("a")
    source.get("b")
    source.now = 10.0
    source.get("a")
    source.get("c")
    assert [source.cache.find(key) for key in ("a", "b", "c")] == [1, None, 3]


def test_an_expired_value_is_kept_but_not_found() -> None:
    source = Source()
    source.cache.put("a", 5)
    assert source.get("a") == 5
    source.now = 10.0
    assert "a" in source.cache
    assert source.cache.find("a") is None


def test_a_failure_is_not_repeated_within_its_shorter_time() -> None:
    source = Source()
    for _ in range(3):
        with pytest.raises(Missing, match="d"):
            source.get("d")
    assert source.loads == ["d"]
    source.values["d"] = 4
    source.now = 3.0
    assert source.get("d") == 4


def test_kept_failures_are_bounded_and_displace_no_value() -> None:
    source = Source()
    source.get("a")
    for key in ("x", "y", "z", "z", "x"):
        with pytest.raises(Missing):
            source.get(key)
    assert source.loads == ["a", "x", "y", "z", "x"]
    assert source.cache.find("a") == 1


def test_a_removed_value_is_not_used_again() -> None:
    source = Source()
    source.get("a")
    del source.values["a"]
    source.now = 10.0
    for _ in range(3):
        with pytest.raises(Missing):
            source.get("a")


def test_an_older_value_is_used_during_an_outage() -> None:
    source = Source()
    source.raises = Away()
    with pytest.raises(Away):
        source.get("a")
    source.raises = None
    source.get("a")
    source.raises, source.now = Away(), 10.0
    assert [source.get("a") for _ in range(9)] == [1] * 9
    assert source.loads == ["a"] * 3


def test_another_failure_is_raised_and_keeps_the_older_value_for_an_outage() -> None:
    source = Source()
    source.get("a")
    source.raises, source.now = ValueError(), 10.0
    with pytest.raises(ValueError):
        source.get("a")
    source.raises = Away()
    assert source.get("a") == 1


def test_a_cleared_cache_loads_again() -> None:
    source = Source()
    source.get("a")
    with pytest.raises(Missing):
        source.get("d")
    source.cache.clear()
    source.values |= {"a": 7, "d": 8}
    assert (source.get("a"), source.get("d")) == (7, 8)


@pytest.mark.parametrize("answer", [lambda: 1, _fail], ids=["value", "failure"])
def test_simultaneous_misses_share_one_load(answer: Callable[[], int]) -> None:
    kept = (Away,)  # also for a call that comes after the load
    cache = Cache[str, int](
        size=1, seconds=10, failures=kept, failure_seconds=10, failures_size=1
    )
    load = SlowLoad(answer)
    others = SlowLoad(lambda: 9)
    with ThreadPoolExecutor(4) as pool:
        calls: list[Future[int]] = [pool.submit(cache.get, "a", load)]
        assert load.started.wait(PATIENCE)
        calls += [pool.submit(cache.get, "a", others) for _ in range(3)]
        load.may_end.set()
        others.may_end.set()
        failures = {type(one.exception(PATIENCE)) for one in calls}
    assert (load.loads, others.loads) == (1, 0)
    assert failures == ({Away} if answer is _fail else {type(None)})


def test_an_older_value_is_used_during_a_load_if_it_may_outlive_its_time() -> None:
    source = Source()
    source.get("a")
    source.now = 10.0
    load = SlowLoad(lambda: 7)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(source.cache.get, "a", load)
        assert load.started.wait(PATIENCE)
        assert source.get("a") == 1
        load.may_end.set()
        assert loading.result(PATIENCE) == 7
    assert source.get("a") == 7


@pytest.mark.parametrize("answer", [lambda: 1, _fail], ids=["value", "failure"])
def test_a_load_that_began_before_a_clear_keeps_nothing(
    answer: Callable[[], int],
) -> None:
    source = Source()
    load = SlowLoad(answer)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(source.cache.get, "a", load)
        assert load.started.wait(PATIENCE)
        source.cache.clear()
        source.values["a"] = 2
        assert source.get("a") == 2
        load.may_end.set()
        loading.exception(PATIENCE)
    assert source.get("a") == 2
