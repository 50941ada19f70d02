"""The promises of every BreakerStore."""

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
    MAX_MISCONFIGURED_PROBE_DELAY,
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
        """The breakers of one process."""

    def pass_time(self, by: timedelta) -> None:
        """Moves the clock of probes forward."""


@pytest.fixture
def breakers(setup: BreakersSetup) -> BreakerStore:
    """The breakers under test."""
    return setup.breakers()


def opened(
    breakers: BreakerStore, reason: TripReason = TripReason.FAILING
) -> CircuitBreaker:
    """Stripe's breaker, just opened for ``why``."""
    breaker = breakers.open(
        STRIPE, trip_reason=reason, reason=f"it is {reason}", by="one"
    )
    assert breaker is not None
    return breaker


def probed(breakers: BreakerStore, setup: BreakersSetup) -> CircuitBreaker:
    """Stripe's breaker with a due probe claimed by us."""
    setup.pass_time(MAX_MISCONFIGURED_PROBE_DELAY)
    breaker = breakers.claim_probe(STRIPE)
    assert breaker is not None
    return breaker


class BreakersSuite:
    """Its subclass's module has a fixture ``setup`` and imports ``breakers``."""

    def test_breakers_without_a_change_are_closed(self, breakers: BreakerStore) -> None:
        assert breakers.load_all() == {
            name: CircuitBreaker(name) for name in ProviderName
        }
        assert breakers.claim_probe(STRIPE) is None
        assert breakers.close(STRIPE, reason="why not", by="one") is None

    def test_open_breaker_is_visible_to_every_process_with_its_reason(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        breaker = opened(breakers)
        assert (breaker.state, breaker.trip_reason) == (
            BreakerState.OPEN,
            TripReason.FAILING,
        )
        assert (breaker.reason, breaker.by) == ("it is failing", "one")
        assert (
            breaker.since is not None
            and breaker.probe_at == breaker.since + FIRST_PROBE_DELAY
        )
        other = setup.breakers().load_all()
        assert other[STRIPE].changes == breaker.changes
        assert other[STRIPE].probe_at == breaker.probe_at
        assert not other[PAYPAL].is_open

    def test_open_breaker_is_opened_again_only_for_a_stronger_reason(
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

    def test_a_due_probe_is_claimed_by_one_of_many_processes(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        assert breakers.claim_probe(STRIPE) is None
        setup.pass_time(FIRST_PROBE_DELAY + MOMENT)
        assert breakers.load_all()[STRIPE].is_probe_due
        several = [setup.breakers() for _ in range(8)]
        with ThreadPoolExecutor(len(several)) as pool:
            taken = list(pool.map(lambda one: one.claim_probe(STRIPE), several))
        [breaker] = [one for one in taken if one is not None]
        assert breaker.probe_number == 1 and not breaker.is_probe_due
        assert not breakers.load_all()[STRIPE].is_probe_due

    def test_breaker_is_half_open_while_a_probe_is_under_way(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        first = opened(breakers)
        probe = probed(breakers, setup)
        assert probe.state is BreakerState.HALF_OPEN and probe.is_open
        assert breakers.load_all()[STRIPE].state is BreakerState.HALF_OPEN
        weaker = TripReason.FAILING
        assert not breakers.open(STRIPE, trip_reason=weaker, reason="r", by="two")
        failed = breakers.open(
            STRIPE, trip_reason=weaker, reason="again", by="one", probed=probe
        )
        assert failed is not None and failed.state is BreakerState.OPEN
        assert (failed.since, failed.changes) == (first.since, first.changes)
        probed(breakers, setup)
        resumed = breakers.close(STRIPE, reason="resumed", by="operator")
        assert resumed is not None and resumed.state is BreakerState.CLOSED

    def test_a_dead_workers_probe_is_replaced_and_its_late_result_ignored(
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

    def test_successful_probe_closes_the_breaker(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        probe = probed(breakers, setup)
        breaker = breakers.close(STRIPE, reason="a probe", by="two", probed=probe)
        assert breaker is not None and not breaker.is_open
        assert (
            breaker.trip_reason,
            breaker.probe_at,
            breaker.failed_probes,
            breaker.by,
        ) == (
            None,
            None,
            0,
            "two",
        )
        assert [one.state for one in breaker.changes] == ["open", "closed"]
        assert breakers.claim_probe(STRIPE) is None
        again = breakers.close(STRIPE, reason="a probe", by="two", probed=probe)
        assert again is None

    def test_failed_probe_keeps_the_breaker_open_for_longer(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        breaker = opened(breakers)
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
        # A repeated failure is no change, so that it evicts no real one.
        assert breakers.load_all()[STRIPE].changes == breaker.changes

    def test_refused_probe_changes_the_reason(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        opened(breakers)
        probe = probed(breakers, setup)
        breaker = breakers.open(
            STRIPE,
            trip_reason=TripReason.MISCONFIGURED,
            reason="401",
            by="two",
            probed=probe,
        )
        assert breaker is not None and breaker.trip_reason is TripReason.MISCONFIGURED
        assert [one.trip_reason for one in breaker.changes] == [
            TripReason.FAILING,
            TripReason.MISCONFIGURED,
        ]

    @pytest.mark.parametrize("well", [True, False])
    def test_an_operators_change_overrides_a_running_probe(
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
        breaker = breakers.close(STRIPE, reason="done", by="person")
        assert breaker is not None and not breaker.is_open

    def test_breaker_of_one_kind_of_calls_is_independent(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        name = breaker_name(STRIPE, CallKind.REFUNDS)
        breaker = breakers.open(
            name,
            trip_reason=TripReason.MISCONFIGURED,
            reason="403",
            by="one",
            refused_operations=["op_1"],
        )
        assert breaker is not None and breaker.is_open
        assert (breaker.account, breaker.call_kind) == (STRIPE, CallKind.REFUNDS)
        found = setup.breakers().load_all()
        assert found[name].is_open and not found[STRIPE].is_open
        assert breakers.claim_probe(STRIPE) is None
        setup.pass_time(FIRST_PROBE_DELAY + MOMENT)
        assert breakers.claim_probe(name) is not None

    def test_refused_operations_are_stored_once_each(
        self, breakers: BreakerStore, setup: BreakersSetup
    ) -> None:
        why, tried = TripReason.MISCONFIGURED, [f"op_{n}" for n in range(MAX_CHANGES)]
        breakers.open(
            STRIPE, trip_reason=why, reason="401", by="one", refused_operations=tried
        )
        probe = probed(breakers, setup)
        again = ["op_1", "$op"]
        breaker = breakers.open(
            STRIPE,
            trip_reason=why,
            reason="401",
            by="one",
            probed=probe,
            refused_operations=again,
        )
        assert breaker is not None and len(breaker.refused_operations) == MAX_CHANGES
        assert breaker.refused_operations == tuple([*(tried[2:]), *again])
        assert (
            breakers.load_all()[STRIPE].refused_operations == breaker.refused_operations
        )

    @pytest.mark.parametrize("by_probe", [True, False])
    def test_refused_operations_are_kept_only_by_a_successful_probe(
        self, breakers: BreakerStore, setup: BreakersSetup, by_probe: bool
    ) -> None:
        why = TripReason.MISCONFIGURED
        breakers.open(
            STRIPE, trip_reason=why, reason="401", by="one", refused_operations=["op_1"]
        )
        probe = probed(breakers, setup) if by_probe else None
        breaker = breakers.close(STRIPE, reason="done", by="two", probed=probe)
        assert breaker is not None
        assert breaker.refused_operations == (("op_1",) if by_probe else ())

    def test_failed_operations_of_an_outage_are_forgotten(
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
        breaker = breakers.close(STRIPE, reason="well", by="a", probed=probe)
        assert breaker is not None and breaker.refused_operations == ()

    def test_only_the_last_changes_are_kept(self, breakers: BreakerStore) -> None:
        for number in range(MAX_CHANGES):
            breakers.open(
                STRIPE, trip_reason=TripReason.OPERATOR, reason=f"{number}", by="a"
            )
            breakers.close(STRIPE, reason=f"{number}", by="b")
        changes = breakers.load_all()[STRIPE].changes
        assert len(changes) == MAX_CHANGES
        assert [one.reason for one in changes[-2:]] == [f"{MAX_CHANGES - 1}"] * 2

    def test_operators_reason_is_stored_literally(self, breakers: BreakerStore) -> None:
        reason = "$why {$set: 1} ünïcode"
        breaker = breakers.open(
            STRIPE, trip_reason=TripReason.OPERATOR, reason=reason, by="$by"
        )
        assert breaker is not None
        assert (breaker.reason, breaker.by) == (reason, "$by")
        assert (breaker.changes[0].reason, breaker.changes[0].by) == (reason, "$by")
