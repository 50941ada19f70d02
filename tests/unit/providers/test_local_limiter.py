"""The limiter of one process alone."""

from __future__ import annotations

import pytest

from providers.limiter import LocalLimiter
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
    """A limiter under a clock of its own."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._limiter = LocalLimiter(RATES.__getitem__, clock=lambda: self._now)

    def limiter(self) -> LocalLimiter:
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
    limiter = LocalLimiter(RATES.__getitem__, clock=lambda: 1000.0)
    taken = limiter.take(STRIPE, 32, 0.25, share=1 / 4)
    assert taken.granted == 2 * BURST // 4
