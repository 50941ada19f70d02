"""What all BreakerStore promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Protocol

import pytest

from application.ports.admission import BreakerStore
from domain.circuit_breaker import (
    MAX_CHANGES,
    FIRST_PROBE_DELAY,
    MAX_PROBE_DELAY,
    MISCONFIGURED_PROBE_DELAY,
    PROBE_TIMEOUT,
    CallKind,
    CircuitBreaker,
    BreakerState,
    TripReason,
    breaker_name,
)
from domain.payments.submission import ProviderName

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
#: More than any test takes.
MOMENT = timedelta(seconds=1)


class BreakersSetup(Protocol):
    """Breakers as several processes use them, and their clock."""

    def breakers(self) -> BreakerStore:
        """Those of one process."""

    def pass_time(self, by: timedelta) -> None:
        """Lets ``by`` pass as far as probes go."""


@pytest.fixture
def breakers(setup: BreakersSetup) -> BreakerStore:
    """The breakers under test."""
    return setup.breakers()


def opened(
    breakers: BreakerStore, why: TripReason = TripReason.FAILING
) -> CircuitBreaker:
    """Stripe's breaker, which ``why`` opened just now."""
    gate = breakers.open(STRIPE, trip_reason=why, reason=f"it is {why}", by="one")
    assert gate is not None
    return gate


def probed(breakers: BreakerStore, setup: BreakersSetup) -> CircuitBreaker:
    """Stripe's breaker with a probe of ours, its time having come."""
    setup.pass_time(MISCONFIGURED_PROBE_DELAY)
    gate = breakers.claim_probe(STRIPE)
    assert gate is not None
    return gate


class BreakersSuite:
    """Its subclass's module has a fixture ``setup`` and imports ``breakers``."""

    def test_gates_that_never_moved_are_closed(self, breakers: BreakerStore) -> None:
        assert breakers.load_all() == {
            name: CircuitBreaker(name) for name in ProviderName
        }
        assert breakers.claim_probe(STRIPE) is None
        assert breakers.close(STRIPE, reason="why not", by="one") is None

    def test_an_open_gate_is_told_to_every_process_with_who_and_why(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        gate = opened(breakers)
        assert (gate.state, gate.trip_reason) == (BreakerState.OPEN, TripReason.FAILING)
        assert (gate.reason, gate.by) == ("it is failing", "one")
        assert (
            gate.since is not None and gate.probe_at == gate.since + FIRST_PROBE_DELAY
        )
        other = setup.breakers().load_all()
        assert other[STRIPE].changes == gate.changes
        assert other[STRIPE].probe_at == gate.probe_at
        assert not other[PAYPAL].is_open

    def test_what_is_open_is_not_opened_again_but_for_a_weightier_reason(
        self, breakers: BreakerStore
    ) -> None:
        first = opened(breakers)
        assert (
            breakers.open(STRIPE, trip_reason=TripReason.FAILING, reason="r", by="two")
            is None
        )
        refused = opened(breakers, TripReason.MISCONFIGURED)
        assert refused.since == first.since
        for why in (TripReason.FAILING, TripReason.MISCONFIGURED):
            assert breakers.open(STRIPE, trip_reason=why, reason="r", by="two") is None
        operators = opened(breakers, TripReason.OPERATOR)
        assert operators.probe_at is None
        for why in (TripReason.FAILING, TripReason.MISCONFIGURED):
            assert breakers.open(STRIPE, trip_reason=why, reason="r", by="two") is None
        assert [one.trip_reason for one in operators.changes] == [
            TripReason.FAILING,
            TripReason.MISCONFIGURED,
            TripReason.OPERATOR,
        ]

    def test_one_of_many_processes_takes_a_probe_when_its_time_has_come(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        assert breakers.claim_probe(STRIPE) is None
        setup.pass_time(FIRST_PROBE_DELAY + MOMENT)
        assert breakers.load_all()[STRIPE].is_probe_due
        several = [setup.breakers() for _ in range(8)]
        with ThreadPoolExecutor(len(several)) as pool:
            taken = list(pool.map(lambda one: one.claim_probe(STRIPE), several))
        [gate] = [one for one in taken if one is not None]
        assert gate.probe_number == 1 and not gate.is_probe_due
        assert not breakers.load_all()[STRIPE].is_probe_due

    def test_a_dead_workers_probe_is_followed_by_another_and_comes_too_late(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        dead = probed(breakers, setup)
        setup.pass_time(PROBE_TIMEOUT - MOMENT)
        assert breakers.claim_probe(STRIPE) is None
        setup.pass_time(2 * MOMENT)
        second = breakers.claim_probe(STRIPE)
        assert second is not None and second.probe_number == dead.probe_number + 1
        for late in (
            breakers.close(STRIPE, reason="late", by="dead", probed=dead),
            breakers.open(
                STRIPE,
                trip_reason=TripReason.FAILING,
                reason="late",
                by="dead",
                probed=dead,
            ),
        ):
            assert late is None
        assert breakers.load_all()[STRIPE].is_open

    def test_a_probe_that_succeeds_closes_the_gate(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        probe = probed(breakers, setup)
        gate = breakers.close(STRIPE, reason="a probe", by="two", probed=probe)
        assert gate is not None and not gate.is_open
        assert (gate.trip_reason, gate.probe_at, gate.failed_probes, gate.by) == (
            None,
            None,
            0,
            "two",
        )
        assert [one.state for one in gate.changes] == ["open", "closed"]
        assert breakers.claim_probe(STRIPE) is None
        again = breakers.close(STRIPE, reason="a probe", by="two", probed=probe)
        assert again is None

    def test_a_probe_that_fails_leaves_it_open_to_rest_for_longer(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        gate = opened(breakers)
        waits = []
        for _ in range(3):
            probe = probed(breakers, setup)
            failed = breakers.open(
                STRIPE,
                trip_reason=TripReason.FAILING,
                reason="again",
                by="two",
                probed=probe,
            )
            assert failed is not None and failed.probe_in is not None
            waits.append(failed.probe_in)
        rests = (2 * FIRST_PROBE_DELAY, 4 * FIRST_PROBE_DELAY, MAX_PROBE_DELAY)
        for rest, wait in zip(rests, waits, strict=True):
            assert rest - MOMENT < wait <= rest
        # Failing again is no change: it would push out those that people look for.
        assert breakers.load_all()[STRIPE].changes == gate.changes

    def test_a_probe_that_finds_us_refused_says_so(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        probe = probed(breakers, setup)
        gate = breakers.open(
            STRIPE,
            trip_reason=TripReason.MISCONFIGURED,
            reason="401",
            by="two",
            probed=probe,
        )
        assert gate is not None and gate.trip_reason is TripReason.MISCONFIGURED
        assert [one.trip_reason for one in gate.changes] == [
            TripReason.FAILING,
            TripReason.MISCONFIGURED,
        ]

    @pytest.mark.parametrize("well", [True, False])
    def test_an_operators_word_stands_against_a_probe_under_way(
        self, breakers: BreakerStore, setup: BreakersSetup, well: bool
    ) -> None:
        opened(breakers)
        probe = probed(breakers, setup)
        opened(breakers, TripReason.OPERATOR)
        if well:
            moved = breakers.close(STRIPE, reason="a probe", by="two", probed=probe)
        else:
            moved = breakers.open(
                STRIPE,
                trip_reason=TripReason.FAILING,
                reason="again",
                by="two",
                probed=probe,
            )
        assert moved is None
        setup.pass_time(timedelta(days=1))
        assert breakers.claim_probe(STRIPE) is None
        gate = breakers.close(STRIPE, reason="done", by="person")
        assert gate is not None and not gate.is_open

    def test_a_gate_before_one_kind_of_calls_moves_by_itself(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        name = breaker_name(STRIPE, CallKind.REFUNDS)
        gate = breakers.open(
            name,
            trip_reason=TripReason.MISCONFIGURED,
            reason="403",
            by="one",
            refused_operations=["op_1"],
        )
        assert gate is not None and gate.is_open
        assert (gate.account, gate.call_kind) == (STRIPE, CallKind.REFUNDS)
        found = setup.breakers().load_all()
        assert found[name].is_open and not found[STRIPE].is_open
        assert breakers.claim_probe(STRIPE) is None
        setup.pass_time(FIRST_PROBE_DELAY + MOMENT)
        assert breakers.claim_probe(name) is not None

    def test_operations_that_were_refused_are_remembered_each_once(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        why, tried = TripReason.MISCONFIGURED, [f"op_{n}" for n in range(MAX_CHANGES)]
        breakers.open(
            STRIPE, trip_reason=why, reason="401", by="one", refused_operations=tried
        )
        probe = probed(breakers, setup)
        again = ["op_1", "$op"]
        gate = breakers.open(
            STRIPE,
            trip_reason=why,
            reason="401",
            by="one",
            probed=probe,
            refused_operations=again,
        )
        assert gate is not None and len(gate.refused_operations) == MAX_CHANGES
        assert gate.refused_operations == tuple([*(tried[2:]), *again])
        assert breakers.load_all()[STRIPE].refused_operations == gate.refused_operations

    @pytest.mark.parametrize("by_probe", [True, False])
    def test_what_was_refused_is_forgotten_by_all_but_a_probe_that_succeeds(
        self, breakers: BreakerStore, setup: BreakersSetup, by_probe: bool
    ) -> None:
        why = TripReason.MISCONFIGURED
        breakers.open(
            STRIPE, trip_reason=why, reason="401", by="one", refused_operations=["op_1"]
        )
        probe = probed(breakers, setup) if by_probe else None
        gate = breakers.close(STRIPE, reason="done", by="two", probed=probe)
        assert gate is not None
        assert gate.refused_operations == (("op_1",) if by_probe else ())

    def test_what_failed_in_an_outage_is_forgotten_with_it(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        probe = probed(breakers, setup)
        failed = breakers.open(
            STRIPE,
            trip_reason=TripReason.FAILING,
            reason="r",
            by="a",
            probed=probe,
            refused_operations=["op_1"],
        )
        assert failed is not None and failed.refused_operations == ("op_1",)
        probe = probed(breakers, setup)
        gate = breakers.close(STRIPE, reason="well", by="a", probed=probe)
        assert gate is not None and gate.refused_operations == ()

    def test_only_the_last_changes_are_kept(self, breakers: BreakerStore) -> None:
        for number in range(MAX_CHANGES):
            breakers.open(
                STRIPE, trip_reason=TripReason.OPERATOR, reason=f"{number}", by="a"
            )
            breakers.close(STRIPE, reason=f"{number}", by="b")
        changes = breakers.load_all()[STRIPE].changes
        assert len(changes) == MAX_CHANGES
        assert [one.reason for one in changes[-2:]] == [f"{MAX_CHANGES - 1}"] * 2

    def test_what_a_person_writes_is_kept_to_the_letter(
        self, breakers: BreakerStore
    ) -> None:
        reason = "$why {$set: 1} ünïcode"
        gate = breakers.open(
            STRIPE, trip_reason=TripReason.OPERATOR, reason=reason, by="$by"
        )
        assert gate is not None
        assert (gate.reason, gate.by) == (reason, "$by")
        assert (gate.changes[0].reason, gate.changes[0].by) == (reason, "$by")
