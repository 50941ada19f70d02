"""What requests know of the breakers, and what that costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.circuit_breaker import TripReason
from tests.suites.samples import NOW, captured, payment
from tests.support.fake_breakers import MemoryBreakers
from web.open_breakers import CACHE_SECONDS, BreakerView

#: Once everything that is owed here is due.
LATER = NOW + timedelta(days=1)


class Watched:
    """Breakers that requests ask about, and the seconds that pass."""

    def __init__(self) -> None:
        self.seconds = 1.0
        self.breakers = MemoryBreakers(clock=lambda: LATER)
        self.gates = BreakerView(
            self.breakers, clock=lambda: LATER, seconds=lambda: self.seconds
        )
        self.breakers.open(
            "stripe", trip_reason=TripReason.FAILING, reason="9 of 9", by="worker"
        )

    def told(self) -> str | None:
        """What a payment that is due says that it waits for."""
        return self.gates.with_breaker_wait(payment()).first_operation.waiting_for


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_all_requests_of_a_second_share_one_read(watched: Watched) -> None:
    for _ in range(100):
        assert watched.told() == "the circuit breaker of stripe to close"
    assert watched.breakers.reads == 1
    watched.breakers.close("stripe", reason="a probe succeeded", by="worker")
    watched.seconds += CACHE_SECONDS
    assert watched.told() is None
    assert watched.breakers.reads == 2


def test_a_settled_payment_asks_nothing(watched: Watched) -> None:
    done = captured()
    assert watched.gates.with_breaker_wait(done) is done
    assert watched.breakers.reads == 0


def test_while_the_database_is_away_what_was_known_last_stands(
    watched: Watched,
) -> None:
    watched.breakers.away = True
    assert watched.told() is None
    watched.breakers.away = False
    watched.seconds += CACHE_SECONDS
    assert watched.told() is not None
    watched.breakers.away = True
    watched.seconds += CACHE_SECONDS
    assert watched.told() is not None
