"""The fakes pass the suites of the ports, so that use cases can be tested on them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from domain.errors import (
    NeedsReview,
    OutcomeUnknown,
    QueueUnavailable,
    StoreUnavailable,
)
from domain.payments.answer import Verdict
from domain.payments.payment import Payment
from tests.suites.payment_store import PaymentStoreSuite
from tests.suites.samples import insert_all, DECLINE, NOW, payment, sending
from tests.suites.setup import Setup, store
from tests.support.fakes import (
    LOSE_ANSWER,
    LOSE_REQUEST,
    Act,
    MemoryQueue,
    ScriptedProvider,
)
from tests.support.memory_store import MemoryStore

__all__ = ["store"]


class _Memory:
    """A MemoryStore with its own clock."""

    def __init__(self) -> None:
        self._now = NOW
        self._store = MemoryStore(self.now)

    def store(self, lease_holder: str = "one") -> MemoryStore:
        return self._store.leased_by(lease_holder)

    def now(self) -> datetime:
        return self._now

    def pass_time(self, by: timedelta) -> None:
        self._now += by


@pytest.fixture
def setup() -> Setup:
    """A fresh store."""
    return _Memory()


class TestMemoryStore(PaymentStoreSuite):
    """The suite of all stores."""

    def test_an_unavailable_store_raises_at_every_call(self) -> None:
        memory = _Memory()
        memory.store("one").away = True
        with pytest.raises(StoreUnavailable):
            insert_all(memory.store("two"), [payment()])


def test_a_queue_returns_the_oldest_ids_first_and_its_free_slots() -> None:
    queue = MemoryQueue(size=3)
    queue.notify(["a", "b"])
    assert queue.free_slots() == 1
    assert queue.take(1) == ["a"]
    queue.notify(["c", "d", "e"])
    assert queue.free_slots() == 0
    assert queue.take(9) == ["b", "c", "d", "e"]


def test_an_unavailable_queue_loses_notifications() -> None:
    queue = MemoryQueue()
    queue.away = True
    queue.notify(["a"])
    with pytest.raises(QueueUnavailable):
        queue.free_slots()
    assert queue.waiting == []


def test_a_second_send_of_a_key_gets_the_same_answer_and_moves_no_money() -> None:
    provider, sent = ScriptedProvider(), _sent()
    assert provider.send(sent) == provider.send(sent)
    assert len(provider.ledger) == 1


def test_a_provider_that_lost_its_answer_has_moved_the_money_once() -> None:
    provider = ScriptedProvider({"pm_card_visa": [LOSE_ANSWER]})
    with pytest.raises(OutcomeUnknown):
        provider.send(_sent())
    assert len(provider.ledger) == 1
    assert provider.send(_sent()).verdict is Verdict.SUCCEEDED
    assert len(provider.ledger) == 1


def test_a_provider_without_the_request_has_moved_no_money() -> None:
    provider = ScriptedProvider({"pm_card_visa": [LOSE_REQUEST]})
    with pytest.raises(OutcomeUnknown):
        provider.send(_sent())
    assert provider.ledger == {}


def test_a_decline_is_final_under_its_key() -> None:
    provider = ScriptedProvider({"pm_card_visa": [Act(lambda _: DECLINE)]})
    assert provider.send(_sent()) == provider.send(_sent()) == DECLINE
    assert provider.ledger == {}


def test_another_body_under_a_known_key_is_refused() -> None:
    provider = ScriptedProvider()
    provider.send(_sent("{}"))
    with pytest.raises(NeedsReview):
        provider.send(_sent('{"amount": 1}'))


def _sent(body: str = "{}") -> Payment:
    return sending(payment(), now=NOW, body=body)
