"""The breakers in memory pass the suite of all breakers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.suites.breakers import BreakersSetup, BreakersSuite, breakers
from tests.suites.samples import NOW
from tests.support.fake_breakers import MemoryBreakers

__all__ = ["breakers"]


class _Memory:
    """Breakers with their own clock."""

    def __init__(self) -> None:
        self._now = NOW
        self._breakers = MemoryBreakers(self.now)

    def now(self) -> datetime:
        return self._now

    def breakers(self) -> MemoryBreakers:
        return self._breakers

    def pass_time(self, by: timedelta) -> None:
        self._now += by


@pytest.fixture
def setup() -> BreakersSetup:
    """Fresh breakers."""
    return _Memory()


class TestMemoryBreakers(BreakersSuite):
    """The suite of all breakers."""
