"""The gate before an account: whom it lets in, and what it makes of what it hears."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import pytest

from application.gate import KNOWN, OPERATOR_REST, SharedGates
from domain.answer import Answer, Verdict
from domain.breaker import ENOUGH, FIRST_REST, MISCONFIGURED_REST, Gate, Why
from domain.errors import (
    LookNeeded,
    Misconfigured,
    NotExecuted,
    NotSent,
    ProviderError,
    StoreUnavailable,
)
from domain.submission import ProviderName
from providers.limiter import LocalLimiter
from tests.fakes import MemoryBreakers
from tests.suites.breakers import BreakersSetup, BreakersSuite
from tests.suites.samples import NOW

STRIPE: Final = ProviderName.STRIPE
WELL: Final = Answer(Verdict.SUCCEEDED)
AWAY: Final = [NotSent()] * ENOUGH


@dataclass
class Town:
    """Several processes' gates, what they share, and the time."""

    rate: float = 0
    now: datetime = NOW
    seen: Counter[str] = field(default_factory=Counter)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = MemoryBreakers(lambda: self.now)
        rates = dict.fromkeys(ProviderName, self.rate)
        self.limiter = LocalLimiter(rates, clock=self.seconds)

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def breakers(self) -> MemoryBreakers:
        return self.shared

    def pass_time(self, by: timedelta) -> None:
        self.now += by

    def process(self, name: str = "one") -> SharedGates:
        return SharedGates(
            breakers=self.shared,
            limiter=self.limiter,
            watch=self,
            by=name,
            jitter=lambda: 0.0,
            clock=self.seconds,
            sleep=self.slept.append,
        )

    def opened(self, provider: ProviderName, why: Why) -> None:
        self.seen[f"opened {why}"] += 1

    def probed(self, provider: ProviderName) -> None:
        self.seen["probed"] += 1

    def put_off(self, provider: ProviderName, count: int) -> None:
        self.seen["put off"] += count


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def shared() -> BreakersSetup:
    return Town()


class TestMemoryBreakers(BreakersSuite):
    """The suite of all breakers."""


def _told(gates: SharedGates, outcomes: Sequence[Answer | ProviderError]) -> None:
    gates.admit(STRIPE, len(outcomes))
    gates.tell(STRIPE, outcomes)


def _opened(town: Town) -> SharedGates:
    gates = town.process()
    _told(gates, AWAY)
    assert gates.admit(STRIPE, 5).granted == 0
    return gates


def test_a_closed_gate_lets_everybody_in(town: Town) -> None:
    gates = town.process()
    assert gates.admit(STRIPE, 32).granted == 32
    gates.tell(STRIPE, [WELL] * 32)
    assert gates.admit(STRIPE, 0).granted == 0
    assert town.seen == {}


def test_a_provider_that_is_away_closes_its_account_for_every_process(
    town: Town,
) -> None:
    other = town.process("two")
    other.admit(STRIPE, 1)
    gates = _opened(town)
    assert gates.admit(ProviderName.PAYPAL, 5).granted == 5
    town.pass_time(timedelta(seconds=KNOWN))
    assert other.admit(STRIPE, 5).granted == 0
    assert town.seen["opened failing"] == 1
    assert town.seen["put off"] == 10


def test_a_few_failures_or_mostly_answers_close_nothing(town: Town) -> None:
    gates = town.process()
    _told(gates, AWAY[1:])
    _told(gates, [WELL] * ENOUGH * 2)
    _told(gates, AWAY[:1])
    assert gates.admit(STRIPE, 5).granted == 5


def test_one_probe_at_a_time_finds_the_providers_return(town: Town) -> None:
    gates, other = _opened(town), town.process("two")
    town.pass_time(FIRST_REST)
    assert gates.admit(STRIPE, 5).granted == 1
    assert other.admit(STRIPE, 5).granted == 0
    gates.tell(STRIPE, [WELL])
    assert gates.admit(STRIPE, 5).granted == 5
    town.pass_time(timedelta(seconds=KNOWN))
    assert other.admit(STRIPE, 5).granted == 5
    assert town.seen["probed"] == 1


class _Rushed(MemoryBreakers):
    """Breakers whose next probe somebody else takes first, or that go away for it."""

    def __init__(self, town: Town, *, gone: bool) -> None:
        super().__init__(lambda: town.now)
        self._gone = gone

    def take_probe(self, provider: ProviderName) -> Gate | None:
        if self._gone:
            raise StoreUnavailable
        return None


@pytest.mark.parametrize("gone", [False, True])
def test_a_probe_that_is_not_ours_lets_nobody_in(town: Town, gone: bool) -> None:
    town.shared = _Rushed(town, gone=gone)
    gates = _opened(town)
    town.pass_time(FIRST_REST)
    assert gates.admit(STRIPE, 5).granted == 0
    assert town.seen["probed"] == 0


@pytest.mark.parametrize(
    ("outcome", "why"),
    [(NotSent(), Why.FAILING), (Misconfigured("bad_key"), Why.MISCONFIGURED)],
)
def test_a_probe_that_fails_leaves_the_gate_open(
    town: Town, outcome: ProviderError, why: Why
) -> None:
    gates = _opened(town)
    town.pass_time(FIRST_REST)
    gates.admit(STRIPE, 1)
    gates.tell(STRIPE, [outcome])
    town.pass_time(FIRST_REST)
    assert gates.admit(STRIPE, 5).granted == 0
    assert town.shared.gates()[STRIPE].why is why


def test_a_probe_that_says_nothing_is_followed_by_the_next(town: Town) -> None:
    gates = _opened(town)
    town.pass_time(FIRST_REST)
    gates.admit(STRIPE, 1)
    gates.tell(STRIPE, [LookNeeded()])
    assert town.shared.gates()[STRIPE].is_open
    town.pass_time(MISCONFIGURED_REST)
    assert gates.admit(STRIPE, 1).granted == 1


def test_a_probe_that_was_overtaken_changes_nothing(town: Town) -> None:
    gates = _opened(town)
    town.pass_time(FIRST_REST)
    gates.admit(STRIPE, 1)
    town.shared.open(STRIPE, why=Why.OPERATOR, reason="stop", by="key_1")
    gates.tell(STRIPE, [WELL])
    assert town.shared.gates()[STRIPE].why is Why.OPERATOR
    again = town.process("two")
    again.admit(STRIPE, 1)
    again.tell(STRIPE, [NotSent()])
    assert town.shared.gates()[STRIPE].why is Why.OPERATOR


def test_refused_credentials_park_the_account_at_once(town: Town) -> None:
    gates = town.process()
    _told(gates, [WELL, Misconfigured("bad_key")])
    gate = town.shared.gates()[STRIPE]
    assert (gate.why, gate.reason) == (
        Why.MISCONFIGURED,
        "the provider refuses our credentials (bad_key)",
    )
    assert gates.admit(STRIPE, 1).again_in >= MISCONFIGURED_REST


def test_calls_that_were_under_way_when_it_opened_say_nothing_more(town: Town) -> None:
    gates = _opened(town)
    gates.tell(STRIPE, AWAY)
    assert town.seen["opened failing"] == 1
    gates.tell(STRIPE, [Misconfigured("bad_key")])
    assert town.shared.gates()[STRIPE].why is Why.MISCONFIGURED


def test_what_another_process_opened_is_not_opened_again(town: Town) -> None:
    gates = town.process()
    gates.admit(STRIPE, 1)
    town.shared.open(STRIPE, why=Why.OPERATOR, reason="stop", by="key_1")
    gates.tell(STRIPE, AWAY)
    assert town.seen["opened failing"] == 0
    rest = gates.admit(STRIPE, 5)
    assert (rest.granted, rest.again_in) == (0, OPERATOR_REST)


def test_a_database_that_is_away_leaves_the_gates_as_they_were_known(
    town: Town,
) -> None:
    gates = _opened(town)
    town.shared.away = True
    town.pass_time(timedelta(minutes=5))
    assert gates.admit(STRIPE, 5).granted == 0
    fresh = town.process("two")
    assert fresh.admit(STRIPE, 5).granted == 5
    fresh.tell(STRIPE, AWAY)
    assert fresh.admit(STRIPE, 5).granted == 5


def test_a_rate_is_kept_and_the_rest_is_put_off() -> None:
    town = Town(rate=100)
    gates = town.process()
    first = gates.admit(STRIPE, 32)
    assert first.granted == 32
    more = gates.admit(STRIPE, 32)
    assert 0 < more.granted < 32
    assert town.slept
    assert more.again_in >= timedelta(seconds=1)
    assert town.seen["put off"] == 32 - more.granted


def test_a_provider_that_wants_fewer_calls_gets_a_rest(town: Town) -> None:
    gates = town.process()
    busy = NotExecuted("rate_limited", retry_after=timedelta(seconds=7))
    _told(gates, [WELL, busy])
    rest = gates.admit(STRIPE, 5)
    assert (rest.granted, rest.again_in) == (0, timedelta(seconds=7))
    town.pass_time(timedelta(seconds=8))
    assert gates.admit(STRIPE, 5).granted == 5
    assert not town.shared.gates()[STRIPE].is_open
