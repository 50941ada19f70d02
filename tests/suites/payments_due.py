"""The promises of every PaymentStore about due work."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from application.ports.payments import PaymentStore
from domain.account import Account
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.submission import ProviderName, Submission
from tests.suites.samples import insert_all, payment, submission
from tests.suites.setup import TICK, Setup, ids_of


class PaymentsDueSuite:
    """Its subclass's module has a fixture ``setup`` and imports ``store``."""

    def test_a_wakeup_loads_a_payment_before_recovery_finds_it(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [new] = insert_all(store, [payment(now=setup.now())])
        assert ids_of(store.load_due([new.id, new.id])) == [new.id]
        assert store.find_due_ids(10) == []
        setup.pass_time(WAKEUP_GRACE + TICK)
        assert store.find_due_ids(10) == [new.id]

    def test_a_scheduled_payment_is_not_due_before_its_time(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        asked = submission(execute_at=setup.now() + timedelta(hours=1))
        [new] = insert_all(store, [payment(submitted=asked, now=setup.now())])
        assert store.load_due([new.id]) == []
        setup.pass_time(timedelta(hours=1))
        assert ids_of(store.load_due([new.id])) == [new.id]

    def test_postponement_never_makes_work_due_earlier(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        later = submission(execute_at=setup.now() + timedelta(hours=1))
        [new] = insert_all(store, [payment(submitted=later, now=setup.now())])
        store.postpone([new.id], timedelta(minutes=1))
        setup.pass_time(timedelta(minutes=30))
        assert store.load_due([new.id]) == []

    def test_due_ids_begin_with_the_longest_waiting_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        now = setup.now()
        insert_all(
            store,
            [
                payment(number, now=now - timedelta(minutes=ago) - WAKEUP_GRACE)
                for number, ago in ((1, 2), (2, 3), (3, 1), (4, -9))
            ],
        )
        longest = [payment(number).id for number in (2, 1, 3)]
        assert store.find_due_ids(10) == longest
        assert store.find_due_ids(2) == [longest[0], longest[-1]]

    def test_long_backlog_leaves_room_for_newly_due_work(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        ids = ids_of(_backlog(store, setup, range(1, 12)))
        assert store.find_due_ids(4) == [ids[0], ids[10], ids[1], ids[9]]
        assert sorted(store.find_due_ids(11)) == ids

    def test_backlog_of_a_provider_does_not_delay_the_others(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        _backlog(store, setup, range(1, 12))
        asked = submission(provider=ProviderName.PAYPAL)
        [late] = _backlog(store, setup, [12], asked)
        assert late.id in store.find_due_ids(3)

    def test_backlog_of_an_account_does_not_delay_the_others(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        _backlog(store, setup, range(1, 12))
        theirs = Account("acct_1", ProviderName.STRIPE)
        [late] = _backlog(store, setup, [12], account=theirs)
        assert late.id in store.find_due_ids(3)


def _backlog(
    store: PaymentStore,
    setup: Setup,
    numbers: Iterable[int],
    asked: Submission | None = None,
    account: Account | None = None,
) -> list[Payment]:
    """Payments that became due one after the other, an hour ago."""
    then = setup.now() - timedelta(hours=1)
    return insert_all(
        store,
        [
            payment(
                number,
                submitted=asked,
                account=account,
                now=then + timedelta(minutes=number),
            )
            for number in numbers
        ],
    )
