"""What every Breakers promises."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from application.ports import Breakers
from domain.breaker import CHANGES, FIRST_REST, PROBE, Gate, Position, Why
from domain.submission import ProviderName

STRIPE: Final = ProviderName.STRIPE


class BreakersSetup(Protocol):
    """Breakers as several processes use them, and their clock."""

    def breakers(self) -> Breakers:
        """Those of one process."""

    def pass_time(self, by: timedelta) -> None:
        """Lets ``by`` pass as far as probes go."""


class BreakersSuite:
    """Its subclass's module has a fixture ``shared``."""

    def test_a_gate_that_never_moved_is_closed(self, shared: BreakersSetup) -> None:
        assert shared.breakers().gates() == {name: Gate(name) for name in ProviderName}
        assert shared.breakers().close(STRIPE, reason="r", by="b") is None
        assert shared.breakers().take_probe(STRIPE) is None

    def test_what_one_opens_is_open_for_all(self, shared: BreakersSetup) -> None:
        opened = shared.breakers().open(STRIPE, why=Why.FAILING, reason="r", by="w")
        assert opened is not None and opened.is_open
        gate = shared.breakers().gates()[STRIPE]
        assert (gate.position, gate.why, gate.reason, gate.by) == (
            Position.OPEN,
            Why.FAILING,
            "r",
            "w",
        )
        assert not shared.breakers().gates()[ProviderName.PAYPAL].is_open

    def test_a_gate_is_opened_once_for_a_reason(self, shared: BreakersSetup) -> None:
        breakers = shared.breakers()
        breakers.open(STRIPE, why=Why.FAILING, reason="r", by="w")
        assert breakers.open(STRIPE, why=Why.FAILING, reason="r", by="x") is None
        worse = breakers.open(STRIPE, why=Why.MISCONFIGURED, reason="m", by="x")
        assert worse is not None and worse.why is Why.MISCONFIGURED
        assert breakers.open(STRIPE, why=Why.FAILING, reason="r", by="x") is None
        assert len(breakers.gates()[STRIPE].changes) == 2

    def test_an_operators_word_stands_until_an_operator_takes_it_back(
        self, shared: BreakersSetup
    ) -> None:
        breakers = shared.breakers()
        breakers.open(STRIPE, why=Why.OPERATOR, reason="maintenance", by="key_1")
        for why in (Why.FAILING, Why.MISCONFIGURED):
            assert breakers.open(STRIPE, why=why, reason="r", by="w") is None
        shared.pass_time(timedelta(days=1))
        assert breakers.take_probe(STRIPE) is None
        closed = breakers.close(STRIPE, reason="done", by="key_1")
        assert closed is not None and not closed.is_open
        assert [one.position for one in closed.changes] == [
            Position.OPEN,
            Position.CLOSED,
        ]

    def test_one_probe_is_taken_when_it_is_due_and_no_second(
        self, shared: BreakersSetup
    ) -> None:
        breakers = shared.breakers()
        breakers.open(STRIPE, why=Why.FAILING, reason="r", by="w")
        assert breakers.take_probe(STRIPE) is None
        shared.pass_time(FIRST_REST)
        assert breakers.gates()[STRIPE].probe_due
        assert shared.breakers().take_probe(STRIPE) is not None
        assert shared.breakers().take_probe(STRIPE) is None
        shared.pass_time(PROBE)
        assert shared.breakers().take_probe(STRIPE) is not None, "the first one died"

    def test_a_probe_that_fails_is_followed_by_another_after_a_longer_rest(
        self, shared: BreakersSetup
    ) -> None:
        breakers = shared.breakers()
        breakers.open(STRIPE, why=Why.FAILING, reason="r", by="w")
        shared.pass_time(FIRST_REST)
        probed = breakers.take_probe(STRIPE)
        assert probed is not None
        still = breakers.open(
            STRIPE, why=Why.FAILING, reason="again", by="w", probed=probed
        )
        assert still is not None and still.failed == 1
        assert len(still.changes) == 1
        shared.pass_time(FIRST_REST)
        assert breakers.take_probe(STRIPE) is None
        shared.pass_time(FIRST_REST)
        assert breakers.take_probe(STRIPE) is not None

    def test_only_the_latest_probe_closes_the_gate(self, shared: BreakersSetup) -> None:
        breakers = shared.breakers()
        breakers.open(STRIPE, why=Why.FAILING, reason="r", by="w")
        shared.pass_time(FIRST_REST)
        early = breakers.take_probe(STRIPE)
        shared.pass_time(PROBE)
        latest = breakers.take_probe(STRIPE)
        assert breakers.close(STRIPE, reason="late", by="w", probed=early) is None
        why = Why.FAILING
        assert breakers.open(STRIPE, why=why, reason="", by="w", probed=early) is None
        closed = breakers.close(STRIPE, reason="well", by="w", probed=latest)
        assert closed is not None and not closed.is_open

    def test_a_probe_does_not_open_what_an_operator_closed(
        self, shared: BreakersSetup
    ) -> None:
        breakers = shared.breakers()
        breakers.open(STRIPE, why=Why.FAILING, reason="r", by="w")
        shared.pass_time(FIRST_REST)
        probed = breakers.take_probe(STRIPE)
        breakers.open(STRIPE, why=Why.OPERATOR, reason="stop", by="key_1")
        assert breakers.close(STRIPE, reason="well", by="w", probed=probed) is None
        assert breakers.gates()[STRIPE].why is Why.OPERATOR

    def test_a_gate_remembers_its_last_changes(self, shared: BreakersSetup) -> None:
        breakers = shared.breakers()
        for number in range(CHANGES):
            breakers.open(STRIPE, why=Why.OPERATOR, reason=str(number), by="key_1")
            breakers.close(STRIPE, reason="", by="key_1")
        changes = breakers.gates()[STRIPE].changes
        assert len(changes) == CHANGES
        assert changes[-2].reason == str(CHANGES - 1)
