"""How a process counts requests and uses the counts of others."""

from __future__ import annotations

import pytest

from runtime import quotas
from runtime.quotas import MAX_NAMES, UNSHARED_PART, Quota, QuotaCounter

QUOTA = Quota("key", 100, 10)
#: The beginning of a window.
NOW = 1_000_000_000.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("off", None),
        ("OFF", None),
        ("100/10 seconds", Quota("key", 100, 10)),
        ("5/minute", Quota("key", 5, 60)),
    ],
)
def test_a_setting_is_a_number_of_requests_and_a_window(
    text: str, found: Quota | None
) -> None:
    assert Quota.parse("key", text) == found


@pytest.mark.parametrize(
    "text", ["x", "", "0/second", "-1/second", "5/day", "9999999999/second"]
)
def test_a_malformed_quota_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Quota.parse("key", text)


def test_a_quota_is_exceeded_by_one_request_too_many_until_its_window_ends() -> None:
    counter = QuotaCounter(QUOTA)
    for left in reversed(range(100)):
        usage = counter.hit("a", NOW + 3)
        assert (usage.remaining, usage.is_exceeded, usage.resets_in) == (left, False, 7)
    assert counter.hit("a", NOW + 9.9).is_exceeded
    assert not counter.hit("b", NOW + 9.9).is_exceeded, "another name"
    assert counter.hit("a", NOW + 10).remaining == 99, "the next window"


def test_a_read_of_a_quota_does_not_count() -> None:
    counter = QuotaCounter(QUOTA)
    for _ in range(9):
        assert counter.hit("a", NOW, requests=0).remaining == 100


def test_a_clock_set_back_starts_a_new_window() -> None:
    counter = QuotaCounter(QUOTA)
    counter.hit("a", NOW, requests=200)
    assert not counter.hit("a", NOW - 3600).is_exceeded


def test_the_number_of_counted_names_is_bounded() -> None:
    counter = QuotaCounter(QUOTA)
    for number in range(MAX_NAMES + 5):
        counter.hit(str(number), NOW)
    assert counter.hit("new", NOW, requests=200).used == 200
    assert counter.hit("new", NOW, requests=0).used == 0, "it is not stored"
    assert counter.hit("0", NOW, requests=0).used == 1


def test_a_count_is_shared_only_above_a_part_of_the_quota() -> None:
    counter = QuotaCounter(QUOTA)
    counter.hit("a", NOW, requests=QUOTA.amount // UNSHARED_PART)
    assert not counter.unshared()[1]
    counter.hit("a", NOW)
    window, counted = counter.unshared()
    assert counted == {"a": 11}
    counter.record_shared(window, "a", 11, 60)
    assert not counter.unshared()[1]
    assert counter.hit("a", NOW).used == 61, "of the others 49"


@pytest.mark.parametrize("total", [10**18, 0, -5])
def test_a_forged_count_of_others_leaves_a_process_its_part(
    total: int,
) -> None:
    counter = QuotaCounter(QUOTA)
    for _ in range(QUOTA.amount // UNSHARED_PART):
        assert not counter.hit("a", NOW).is_exceeded
        window, counted = counter.unshared()
        for name, requests in counted.items():
            counter.record_shared(window, name, requests, total)
    counter.hit("a", NOW)
    counter.record_shared(counter.unshared()[0], "a", 11, total)
    assert (
        counter.hit("a", NOW).used >= 12
    ), "others cannot lower this process's own count"


def test_a_count_of_an_ended_window_is_ignored() -> None:
    counter = QuotaCounter(QUOTA)
    counter.hit("a", NOW, requests=50)
    window, _ = counter.unshared()
    counter.hit("a", NOW + 10)
    counter.record_shared(window, "a", 50, 500)
    counter.record_shared(window + 1, "b", 50, 500)
    assert counter.hit("a", NOW + 10).used == 2


def test_names_are_shared_in_bounded_turns() -> None:
    counter = QuotaCounter(QUOTA)
    for number in range(quotas.MAX_SHARED + 5):
        counter.hit(str(number), NOW, requests=50)
    assert len(counter.unshared()[1]) == quotas.MAX_SHARED
