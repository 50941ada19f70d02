"""Tests of the limiter of a single process."""

from __future__ import annotations

import threading

import pytest

from persistence.redis_limiter import LocalRateLimiter
from tests.suites.limiter import (
    BURST,
    RATES,
    STRIPE,
    LimiterSetup,
    LimiterSuite,
    limiter,
)

__all__ = ["limiter"]


class _Local:
    """A limiter with a clock of its own."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._limiter = LocalRateLimiter(RATES.__getitem__, clock=lambda: self._now)

    def limiter(self) -> LocalRateLimiter:
        return self._limiter

    def pass_time(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def setup() -> LimiterSetup:
    """A limiter with full buckets."""
    return _Local()


class TestLocalLimiter(LimiterSuite):
    """The suite of all limiters."""


def test_a_share_is_a_part_of_the_rate() -> None:
    limiter = LocalRateLimiter(RATES.__getitem__, clock=lambda: 1000.0)
    taken = limiter.acquire(STRIPE, 32, 0.25, share=1 / 4)
    assert taken.granted == 2 * BURST // 4


def test_a_wait_for_one_accounts_rate_delays_no_other_account() -> None:
    """The rate of a merchant's account is read from the database."""
    others = list[int]()

    def rates(account: str) -> float:
        if account == "acct_1":
            take = threading.Thread(
                target=lambda: others.append(local.acquire(STRIPE, 1, 0.0).granted),
                daemon=True,
            )
            take.start()
            take.join(5)
        return RATES[STRIPE]

    local = LocalRateLimiter(rates)
    local.acquire("acct_1", 1, 0.0)
    local.pause("acct_1", 1.0)
    assert others == [1, 1]
