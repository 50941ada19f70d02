"""The breakers in the answers to requests, and the reads for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from application.known_breakers import CACHE_SECONDS, KnownBreakers
from domain.circuit_breaker import TripReason
from tests.suites.samples import NOW, captured, payment
from tests.support.fake_breakers import MemoryBreakers

#: A time at which all work is due.
LATER = NOW + timedelta(days=1)


class Watched:
    """Breakers with counted reads, and a clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1.0
        self.breakers = MemoryBreakers(clock=lambda: LATER)
        self.known = KnownBreakers(self.breakers, clock=lambda: self.seconds)
        self.breakers.open(
            "stripe", trip_reason=TripReason.FAILING, reason="9 of 9", by="worker"
        )

    def waiting_for(self) -> str | None:
        """``waiting_for`` of a due operation, as a request shows it."""
        return self.known.with_breaker_wait(
            payment(), now=LATER
        ).first_operation.waiting_for


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_all_requests_of_a_second_share_one_read(watched: Watched) -> None:
    for _ in range(100):
        assert watched.waiting_for() == "the circuit breaker of stripe to close"
    assert watched.breakers.reads == 1
    watched.breakers.close("stripe", reason="a probe succeeded", by="worker")
    watched.seconds += CACHE_SECONDS
    assert watched.waiting_for() is None
    assert watched.breakers.reads == 2


def test_a_settled_payment_needs_no_read(watched: Watched) -> None:
    done = captured()
    assert watched.known.with_breaker_wait(done, now=LATER) is done
    assert watched.breakers.reads == 0


def test_the_last_known_breakers_are_used_without_the_database(
    watched: Watched,
) -> None:
    watched.breakers.away = True
    assert watched.waiting_for() is None
    watched.breakers.away = False
    watched.seconds += CACHE_SECONDS
    assert watched.waiting_for() is not None
    watched.breakers.away = True
    watched.seconds += CACHE_SECONDS
    assert watched.waiting_for() is not None
