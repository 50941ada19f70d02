"""Tests of the indexes and reads of each query, by the server's profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations
from typing import Any, Final

import pytest
from pymongo import monitoring
from pymongo.database import Database

from application.api_keys import revoke_key
from application.ports.payments import Query, Scope
from domain.account import Account
from domain.payments.settle import settle
from domain.payments.apply_dispute import apply_dispute
from domain.payments.states import State, Status
from domain.payments.submission import Mode, ProviderName
from domain.replays import Search
from persistence import indexes, mongo
from persistence.api_keys import MongoApiKeys
from persistence.codec import Document
from persistence.encryption import KeySource, Pepper, Vault
from persistence.monitoring import count_backlog
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from runtime.container import clock
from tests.suites.api_keys import created
from tests.suites.samples import (
    insert_all,
    NOW,
    SHOP,
    disputed,
    payment,
    sending,
    submission,
)
from tests.support.fakes import pay

#: Enough documents that the planner prefers an index.
MANY: Final = 300
#: A page of 20, as many again of the other provider, and one to know the end by.
FEW: Final = 41
#: Disputed payments of the shop, which a list without disputes skips.
DISPUTED: Final = 4
WRITES: Final = {"insert", "update", "findAndModify"}
RIVAL: Final = Scope("rival", Mode.TEST)

Act = Callable[[MongoPayments], object]


@pytest.fixture
def filled(payments_db: Database[Document], vault: Vault) -> MongoPayments:
    """A third of its payments are the shop's; the first 20 are due, the rest paid."""
    store, now = MongoPayments(payments_db, vault, lease_holder="one"), clock()
    new = [
        payment(
            number,
            submitted=submission(
                provider=list(ProviderName)[number % 2], reference=f"r{number}"
            ),
            scope=SHOP if number % 3 == 1 else RIVAL,
            now=NOW + timedelta(hours=number),  # as its id has it
        )
        for number in range(1, MANY + 1)
    ]
    stored = insert_all(store, new)
    won = store.claim_many([sending(one, now=now) for one in stored[20:]])
    store.settle_many([settle(one, pay(one), now=now, jitter=0) for one in won])
    return store


@pytest.fixture
def profiled(payments_db: Database[Document]) -> Iterator[Callable[[], list[Any]]]:
    """The profile of the test's queries of payments so far."""
    name = f"{payments_db.name}.payments"

    def profile() -> list[Any]:
        return list(payments_db["system.profile"].find({"ns": name}))

    payments_db["system.profile"].drop()
    payments_db.command("profile", 2)
    yield profile
    payments_db.command("profile", 0)
    payments_db["system.profile"].drop()


def _same_key_again(store: MongoPayments) -> object:
    return insert_all(store, [payment(9999, key="key-7")])


def _claim_and_settle(store: MongoPayments) -> object:
    [found] = store.load_due([payment(7).id])
    [won] = store.claim_many([sending(found, now=clock())])
    return store.settle_many([settle(won, pay(won), now=clock(), jitter=0)])


def _claim_too_late(store: MongoPayments) -> object:
    old = store.get(SHOP, payment(10).id)
    assert old is not None
    claim = sending(old, now=clock())
    return store.claim_many([claim]) + store.claim_many([claim])


@pytest.mark.parametrize(
    "act",
    [
        _same_key_again,
        _claim_and_settle,
        _claim_too_late,
        lambda store: store.load_due([payment(7).id, payment(10).id]),
        lambda store: store.find_due_ids(10),
        lambda store: store.renew_leases([payment(7).id, payment(10).id]),
        lambda store: store.find_settled([payment(7).id]),
        lambda store: store.get(SHOP, payment(7).id),
        lambda store: store.load_timeline(SHOP, payment(7).id),
        lambda store: store.list_payments(SHOP, Query()),
        lambda store: store.list_payments(SHOP, Query(before=payment(199).id)),
        lambda store: store.list_payments(SHOP, Query(status=Status.CAPTURED)),
        lambda store: store.list_payments(SHOP, Query(status=Status.PROCESSING)),
        lambda store: store.list_payments(SHOP, Query(reference="r7")),
        lambda store: store.list_payments(SHOP, Query(provider=ProviderName.PAYPAL)),
    ],
)
def test_a_hot_query_reads_by_index_and_only_its_results(
    filled: MongoPayments,
    profiled: Callable[[], list[Any]],
    act: Act,
) -> None:
    act(filled)
    asked = [one for one in profiled() if one["op"] not in ("insert", "getmore")]
    assert asked
    for one in asked:
        plan = one["planSummary"]
        assert plan == "IDHACK" or plan.startswith("IXSCAN"), one
        assert not one.get("hasSortStage"), one
        assert one["docsExamined"] <= FEW, one


#: The filters of a list; every combination is tested.
FILTERS: Final[tuple[Document, ...]] = (
    {"provider": ProviderName.PAYPAL},
    {"status": Status.CAPTURED},
    {"reference": "r154"},
    {"disputed": True},
    {"disputed": False},
    {"created_from": NOW + timedelta(hours=150)},
    {"created_before": NOW + timedelta(hours=160)},
)


@pytest.mark.parametrize(
    "filters",
    [
        filters
        for count in range(len(FILTERS) + 1)
        for filters in combinations(FILTERS, count)
        if len({name for one in filters for name in one}) == count
    ],
    ids=lambda filters: " ".join(name for one in filters for name in one) or "none",
)
def test_a_list_examines_few_documents_beyond_its_results(
    filled: MongoPayments,
    profiled: Callable[[], list[Any]],
    filters: tuple[Document, ...],
) -> None:
    for number in (151, 154, 157, 250):
        found = filled.get(SHOP, payment(number).id)
        assert found is not None
        assert filled.amend(apply_dispute(found, disputed(found), now=clock()))
    before = len(profiled())
    query = Query(limit=5, **{name: one[name] for one in filters for name in one})
    found_now = filled.list_payments(SHOP, query)
    asked = profiled()[before:]
    assert sum(one["docsExamined"] for one in asked) <= len(found_now) + DISPUTED
    assert not any(one.get("hasSortStage") for one in asked)
    assert all("IXSCAN" in one["planSummary"] for one in asked)


def test_a_list_of_one_provider_does_not_read_payments_of_another(
    payments_db: Database[Document],
    vault: Vault,
    profiled: Callable[[], list[Any]],
) -> None:
    """One payment at PayPal, older than MANY at Stripe."""
    store = MongoPayments(payments_db, vault, lease_holder="one")
    paypal = submission(provider=ProviderName.PAYPAL)
    insert_all(store, [payment(1, submitted=paypal)])
    insert_all(store, [payment(number) for number in range(2, MANY + 1)])
    before = len(profiled())
    queries = [
        Query(provider=ProviderName.PAYPAL),
        Query(provider=ProviderName.PAYPAL, status=Status.PROCESSING),
        Query(created_before=NOW + timedelta(hours=1, minutes=1)),
    ]
    for query in queries:
        assert [one.id for one in store.list_payments(SHOP, query)] == [payment(1).id]
    view = MongoOperatorView(payments_db, vault, Mode.TEST)
    search = Search(
        merchant="shop",
        state=State.QUEUED,
        created_before=NOW + timedelta(hours=1, minutes=1),
    )
    assert len(view.find(search, before=None, limit=20)) == 1
    asked = profiled()[before:]
    assert [one["docsExamined"] for one in asked] == [1] * 4


def test_movements_of_a_minute_are_read_by_index(
    filled: MongoPayments,
    payments_db: Database[Document],
    vault: Vault,
    profiled: Callable[[], list[Any]],
) -> None:
    view, now = MongoOperatorView(payments_db, vault, Mode.TEST), clock()
    minute = timedelta(minutes=1)

    def moved(minutes: int) -> int:
        since = now + minutes * minute
        stripe = Account.own(ProviderName.STRIPE)
        return len(view.find_moved(stripe, since, since + minute, limit=MANY))

    assert moved(-1) == (MANY - 20) / 2
    assert moved(1) == moved(-2) == 0
    asked = [one for one in profiled() if one["op"] != "getmore"]
    for one, most in zip(asked, (MANY - 20, 0, 0), strict=True):
        assert one["planSummary"] == "IXSCAN { moved_at: 1 }"
        assert one["docsExamined"] <= most


def test_disputed_payments_are_found_by_their_own_indexes(
    filled: MongoPayments,
    payments_db: Database[Document],
    vault: Vault,
    profiled: Callable[[], list[Any]],
) -> None:
    for number in (1, 4, 7):
        found = filled.get(SHOP, payment(number).id)
        assert found is not None
        assert filled.amend(apply_dispute(found, disputed(found), now=clock()))
    before = len(profiled())
    view = MongoOperatorView(payments_db, vault, Mode.TEST)
    account = payment(1).account
    assert view.find_disputed(account, ["ch_none"]) == []
    assert len(filled.list_payments(SHOP, Query(disputed=True))) == 3
    asked, listed = profiled()[before:]
    assert asked["planSummary"] == "IXSCAN { disputes.ref: 1 }"
    assert asked["docsExamined"] == 0
    assert listed["docsExamined"] == 3, listed["planSummary"]
    assert not listed.get("hasSortStage")


def test_the_backlog_reads_only_open_payments(
    filled: MongoPayments,
    payments_db: Database[Document],
    profiled: Callable[[], list[Any]],
) -> None:
    assert sum(count_backlog(payments_db).open.values()) == 20
    [asked] = profiled()
    assert asked["planSummary"].startswith("IXSCAN { open")
    assert asked["keysExamined"] <= 21
    assert asked["docsExamined"] <= 20


class _Recorder(monitoring.CommandListener):
    """Records the commands on one database."""

    def __init__(self, database: str) -> None:
        self._database = database
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.database_name == self._database:
            self.commands.append({"name": event.command_name, **event.command})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Records nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Records nothing."""


def test_every_write_waits_for_a_majoritys_journal_and_every_read_for_a_majority(
    mongo_url: str, database: str, vault: Vault, key_source: KeySource
) -> None:
    recorder = _Recorder(database)
    # The product's client takes no listener, so every later client gets this one; it
    # is silent for other databases.
    monitoring.register(recorder)
    opened = mongo.connect(mongo_url, database)
    _touch_everything(
        MongoPayments(opened, vault, lease_holder="one"),
        MongoApiKeys(opened, Pepper(key_source)),
    )
    opened.client.close()
    writes = [one for one in recorder.commands if one["name"] in WRITES]
    reads = [one for one in recorder.commands if one["name"] == "find"]
    assert {one["name"] for one in writes} == WRITES
    assert all(one["writeConcern"] == {"w": "majority", "j": True} for one in writes)
    assert reads
    assert all(one["readConcern"]["level"] == "majority" for one in reads)


def _touch_everything(store: MongoPayments, keys: MongoApiKeys) -> None:
    [new] = insert_all(store, [payment()])
    [won] = store.claim_many([sending(new, now=clock())])
    store.renew_leases([won.id])
    store.settle_many([settle(won, pay(won), now=clock(), jitter=0)])
    store.get(SHOP, new.id)
    key, _ = created(keys, now=clock())
    revoke_key(key.id, store=keys, now=clock())


def test_indexes_can_be_created_repeatedly(payments_db: Database[Document]) -> None:
    before = payments_db.payments.index_information()
    indexes.create_indexes(payments_db)
    assert payments_db.payments.index_information() == before


def test_a_settled_payment_is_in_no_index_of_open_or_due_ones(
    payments_db: Database[Document], vault: Vault
) -> None:
    store = MongoPayments(payments_db, vault, lease_holder="one")
    [new] = insert_all(store, [payment(now=clock())])
    [won] = store.claim_many([sending(new, now=clock())])
    held = payments_db.payments.find_one() or {}
    assert {"open", "due_at", "lease_holder"} <= held.keys()
    store.settle_many([settle(won, pay(won), now=clock(), jitter=0)])
    settled = payments_db.payments.find_one() or {}
    assert {"open", "due_at", "lease_holder"}.isdisjoint(settled)
