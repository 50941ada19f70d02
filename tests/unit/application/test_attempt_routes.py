"""Several accounts: the breaker of each, and rerouted payments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from application.ports.provider import Provider
from domain.account import Account
from domain.circuit_breaker import CallKind, breaker_name
from domain.errors import Misconfigured, NotSent, OutcomeUnknown, ProviderError
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from tests.suites.samples import DECLINE, SHOP, payment, submission
from tests.support.fakes import ScriptedProvider
from tests.unit.application.conftest import World

ONE = Account("acct_1", ProviderName.STRIPE)
TWO = Account("acct_2", ProviderName.STRIPE)
THREE = Account("acct_3", ProviderName.PAYPAL)


@dataclass
class Shop:
    """A world with a provider for each account."""

    world: World
    providers: dict[str, Provider] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.providers = {one.id: ScriptedProvider() for one in (ONE, TWO, THREE)}
        self.world.context = replace(
            self.world.context, providers=lambda account: self.providers[account.id]
        )

    def pay(self, number: int = 1) -> str:
        """A payment whose route has every account."""
        new = payment(
            number,
            submitted=submission(provider=None),
            account=ONE,
            route=(TWO, THREE),
            routes_on=("insufficient_funds",),
        )
        return self.world.insert(new)[0]

    def charges(self) -> list[str]:
        """The accounts where money moved."""
        return [
            name
            for name, provider in self.providers.items()
            if isinstance(provider, ScriptedProvider)
            for _ in provider.ledger
        ]

    def event_types(self, payment_id: str) -> list[str]:
        """The types of the events on its timeline."""
        events = self.world.store.load_timeline(SHOP, payment_id)
        return [event.type for event in events or []]


class Refusing:
    """A Provider that refuses every send."""

    def __init__(self, said: Answer | ProviderError) -> None:
        self._said = said

    def prepare(self, payment: Payment, operation: Operation) -> str:
        return "{}"

    def send(self, payment: Payment) -> Answer:
        if isinstance(self._said, ProviderError):
            raise self._said
        return self._said

    def look_up(self, payment: Payment) -> Answer:
        return self.send(payment)


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def test_each_payment_is_made_at_its_own_account(shop: Shop) -> None:
    two = payment(2, account=TWO)
    shop.world.attempt(shop.pay(), *shop.world.insert(two))
    assert shop.charges() == [ONE.id, TWO.id]


@pytest.mark.parametrize("said", [NotSent(), Misconfigured(), DECLINE])
def test_a_payment_refused_by_the_first_account_is_charged_once_at_the_second(
    shop: Shop, said: Answer | ProviderError
) -> None:
    shop.providers[ONE.id] = Refusing(said)
    one = shop.pay()
    shop.world.attempt(one)
    waiting = shop.world.stored(one)
    assert (waiting.account, waiting.first_operation.state) == (TWO, State.QUEUED)
    shop.world.attempt(one)
    assert shop.charges() == [TWO.id]
    assert shop.world.stored(one).status is Status.CAPTURED
    assert shop.event_types(one) == [
        *("payment.accepted", "attempt.sent", "attempt.answered", "payment.routed"),
        *("attempt.sent", "attempt.answered"),
    ]


def test_an_open_breaker_reroutes_a_payment_in_the_same_write(shop: Shop) -> None:
    shop.world.admission.open_breakers = {ONE.id}
    ids = [shop.pay(number) for number in range(1, 6)]
    shop.world.attempt(*ids)
    assert shop.charges() == [TWO.id] * 5
    for one in ids:
        assert shop.world.stored(one).account == TWO
        assert shop.world.stored(one).version == payment().version + 2
        assert shop.event_types(one)[1:3] == ["payment.routed", "attempt.sent"]


@pytest.mark.parametrize("last_asked", [ONE, TWO])
def test_two_open_breakers_reroute_a_payment_to_the_third_account(
    shop: Shop, last_asked: Account
) -> None:
    shop.world.admission.open_breakers = {ONE.id, TWO.id}
    [second] = shop.world.insert(payment(2, account=TWO, route=(THREE,)))
    first = shop.pay()
    group = (first, second) if last_asked is TWO else (second, first)
    shop.world.attempt(*group)
    assert shop.charges() == [THREE.id] * 2
    assert shop.world.stored(first).account == THREE
    assert (
        shop.world.admission.requested_accounts.count(TWO.id) == 1
    ), "or its probe is forgotten"


def test_a_payment_waits_at_its_account_while_all_breakers_are_open(shop: Shop) -> None:
    shop.world.admission.open_breakers = {ONE.id, TWO.id, THREE.id}
    one = shop.pay()
    shop.world.attempt(one)
    assert shop.world.stored(one).account == ONE
    assert shop.event_types(one) == ["payment.accepted"]
    shop.world.admission.open_breakers = {TWO.id, THREE.id}
    shop.world.now += shop.world.admission.retry_in
    shop.world.attempt(one)
    assert shop.charges() == [ONE.id]


def test_a_rate_limit_reroutes_no_payment(shop: Shop) -> None:
    shop.world.admission.granted = 0
    one = shop.pay()
    shop.world.attempt(one)
    assert shop.world.stored(one).account == ONE
    assert shop.event_types(one) == ["payment.accepted"]


def test_one_wait_serves_all_accounts_at_their_limits(
    shop: Shop,
) -> None:
    world, began = shop.world, shop.world.now
    world.admission.delays = {ONE.id: 0.2, TWO.id: 0.5, THREE.id: 0.3}
    ids = world.insert(payment(2, account=TWO), payment(3, account=THREE))
    world.attempt(shop.pay(), *ids)
    assert shop.charges() == [ONE.id, TWO.id, THREE.id]
    assert world.waited == [0.5]
    for one in ids:
        sent = world.stored(one).first_operation.send
        assert sent is not None and sent.first_at == began + timedelta(seconds=0.5)


def test_a_rerouted_payment_causes_no_second_wait(shop: Shop) -> None:
    world = shop.world
    world.admission.open_breakers, world.admission.delays = {ONE.id}, {
        TWO.id: 0.2,
        THREE.id: 0.5,
    }
    world.attempt(shop.pay(), *world.insert(payment(2, account=THREE)))
    assert shop.charges() == [TWO.id, THREE.id]
    assert world.waited == [0.5]


def test_accounts_below_their_limits_cause_no_wait(shop: Shop) -> None:
    shop.world.attempt(shop.pay())
    assert shop.world.waited == []


def test_a_payment_rerouted_to_an_account_at_its_limit_waits_there(shop: Shop) -> None:
    shop.world.admission.open_breakers, shop.world.admission.granted = {ONE.id}, 0
    one = shop.pay()
    shop.world.attempt(one)
    assert shop.world.stored(one).account == ONE
    assert shop.world.attempt(one) == {}, "it is postponed"


def test_a_lost_answer_is_found_at_the_account_of_its_send(shop: Shop) -> None:
    shop.providers[ONE.id] = Refusing(OutcomeUnknown("no_answer"))
    one = shop.pay()
    shop.world.attempt(one)
    shop.world.admission.open_breakers = {ONE.id}
    shop.world.now = shop.world.stored(one).first_operation.due_at or shop.world.now
    shop.world.attempt(one)
    left = shop.world.stored(one)
    assert (left.account, left.first_operation.state) == (ONE, State.UNKNOWN)
    assert shop.charges() == []


def test_an_open_breaker_of_refunds_reroutes_no_charge(shop: Shop) -> None:
    shop.world.admission.open_breakers = {breaker_name(ONE.id, CallKind.REFUNDS)}
    shop.world.attempt(shop.pay())
    assert shop.charges() == [ONE.id]


def test_an_open_breaker_of_charges_reroutes_them(shop: Shop) -> None:
    shop.world.admission.open_breakers = {breaker_name(ONE.id, CallKind.CHARGES)}
    shop.world.attempt(shop.pay())
    assert shop.charges() == [TWO.id]


def test_the_outcome_of_a_call_is_recorded_at_its_accounts_breaker(shop: Shop) -> None:
    shop.providers[ONE.id] = Refusing(NotSent())
    shop.world.attempt(shop.pay())
    assert shop.world.admission.recorded_accounts == {ONE.id}


def test_an_answer_at_the_last_account_ends_the_payment(shop: Shop) -> None:
    for account in (ONE, TWO, THREE):
        shop.providers[account.id] = Refusing(DECLINE)
    one = shop.pay()
    for _ in range(3):
        settled = shop.world.attempt(one)
    assert settled[one].answer == Verdict.DECLINED
    ended = shop.world.stored(one)
    assert (ended.account, ended.status) == (THREE, Status.FAILED)
    assert ended.last_error is not None
