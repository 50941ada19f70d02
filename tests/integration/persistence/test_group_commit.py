"""Tests that grouped inserts have the results of single ones."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
from pymongo.database import Database

from application.accept import Accepted, NewPayment, accept_many
from application.ports.payments import Query
from domain.errors import (
    DocumentUnreadable,
    IdempotencyMismatch,
    PaymentsError,
    ReferenceInProgress,
    StoreUnavailable,
)
from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.operation import Origin
from domain.payments.routing import Routes
from domain.payments.settle import settle
from domain.payments.payment import Payment
from domain.payments.submission import DuplicatePolicy, Mode
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.group_commit import GroupCommitPayments
from runtime.container import clock, new_id
from tests.support.fakes import MemoryQueue
from tests.suites.samples import insert_all, NOW, SHOP, payment, sending, submission


@pytest.fixture
def store(payments_db: Database[Document], vault: Vault) -> GroupCommitPayments:
    """The store of a web process."""
    return GroupCommitPayments(payments_db, vault, lease_holder="web")


@pytest.fixture
def many() -> Iterator[ThreadPoolExecutor]:
    """The threads of a web process."""
    with ThreadPoolExecutor(32) as pool:
        yield pool


def test_concurrent_inserts_each_get_their_own_payment(
    store: GroupCommitPayments, many: ThreadPoolExecutor
) -> None:
    new = [payment(number, now=clock()) for number in range(1, 201)]
    answers = list(many.map(lambda one: insert_all(store, [one]), new))
    assert [stored.id for [stored] in answers] == [one.id for one in new]
    assert len(store.list_payments(SHOP, Query(limit=300))) == 200


def test_a_repeated_key_in_a_group_gets_the_first_payment(
    store: GroupCommitPayments, many: ThreadPoolExecutor
) -> None:
    new = [
        payment(number, key=f"key-{number % 20}", now=clock())
        for number in range(1, 101)
    ]
    answers = list(many.map(lambda one: insert_all(store, [one]), new))
    stored = {one.id for one in store.list_payments(SHOP, Query(limit=300))}
    assert len(stored) == 20
    assert {one.id for [one] in answers} == stored
    assert all(
        answer.first_operation.origin == asked.first_operation.origin
        for [answer], asked in zip(answers, new, strict=True)
    )


def test_an_insert_beyond_the_bound_is_refused(
    payments_db: Database[Document],
    vault: Vault,
    many: ThreadPoolExecutor,
) -> None:
    class Small(GroupCommitPayments):
        max_waiting = 1

    store = Small(payments_db, vault, lease_holder="web")

    def insert(number: int) -> list[Payment]:
        return insert_all(store, [payment(number, now=clock())])

    asked: list[Future[list[Payment]]] = [
        many.submit(insert, number) for number in range(1, 200)
    ]
    errors = [one.exception() for one in asked]
    refused = [error for error in errors if error is not None]
    assert refused, "a place for one is too few for 32 threads"
    assert all(isinstance(error, StoreUnavailable) for error in refused)
    stored = store.list_payments(SHOP, Query(limit=300))
    assert len(stored) == errors.count(None)


def test_a_payment_that_cannot_be_encoded_fails_alone(
    payments_db: Database[Document], vault: Vault, many: ThreadPoolExecutor
) -> None:
    store = GroupCommitPayments(payments_db, vault, lease_holder="web")
    broken = replace(payment(1), submission=replace(submission(), email="\ud800"))
    asked = [
        many.submit(insert_all, store, [one])
        for one in [broken, *(payment(number) for number in range(2, 30))]
    ]
    errors = [one.exception() for one in asked]
    assert isinstance(errors[0], UnicodeEncodeError)
    assert errors[1:] == [None] * 28


def test_an_earlier_payment_that_cannot_be_read_fails_its_own_repeat_alone(
    store: GroupCommitPayments,
    payments_db: Database[Document],
    many: ThreadPoolExecutor,
) -> None:
    insert_all(store, [payment(1)])
    payments_db.payments.update_many({}, {"$set": {"personal_data": b"by nobody"}})
    repeat = payment(50, key="key-1")
    asked = [
        many.submit(insert_all, store, [one])
        for one in [repeat, *(payment(number) for number in range(2, 30))]
    ]
    errors = [one.exception() for one in asked]
    assert isinstance(errors[0], DocumentUnreadable)
    assert errors[1:] == [None] * 28


def test_work_of_another_mode_is_invisible(
    payments_db: Database[Document], vault: Vault
) -> None:
    test = GroupCommitPayments(payments_db, vault, lease_holder="one")
    live = GroupCommitPayments(payments_db, vault, lease_holder="two", mode=Mode.LIVE)
    due = replace(payment(1), mode=Mode.LIVE)
    insert_all(test, [due])
    assert (test.find_due_ids(10), test.load_due([due.id])) == ([], [])
    assert live.find_due_ids(10) == [due.id]
    assert [one.id for one in live.load_due([due.id])] == [due.id]


def test_a_step_that_cannot_be_encoded_fails_alone(
    store: GroupCommitPayments, vault: Vault
) -> None:
    new = insert_all(store, [payment(number) for number in (1, 2)])
    first, second = store.claim_many([sending(one, now=NOW) for one in new])
    broken = Failure(code="declined", message="\ud83d")
    steps = [
        settle(first, Answer(Verdict.DECLINED, failure=broken), now=NOW, jitter=0),
        settle(second, Answer(Verdict.DECLINED), now=NOW, jitter=0),
    ]
    assert [one.id for one in store.settle_many(steps)] == [second.id]


def test_requests_of_one_batch_are_accepted_or_refused_each_alone(
    store: GroupCommitPayments,
) -> None:
    queue = MemoryQueue()

    def accept_all(
        *requests: tuple[str, str, str | None],
    ) -> list[Accepted | PaymentsError]:
        """Accepts payments by key, fingerprint and reference."""
        return accept_many(
            [
                NewPayment(
                    submission(
                        reference=reference,
                        duplicate_policy=DuplicatePolicy.UNFINISHED,
                    ),
                    Origin(key, fingerprint),
                )
                for key, fingerprint, reference in requests
            ],
            scope=SHOP,
            routes=Routes(),
            draw=lambda: 0.0,
            store=store,
            queue=queue,
            clock=clock,
            new_id=new_id,
        )

    [earlier] = accept_all(("taken", "f", None))
    assert isinstance(earlier, Accepted)
    many = [(f"key-{number}", "f", None) for number in range(100)]
    first, mismatch, repeat, refused, *others = accept_all(
        ("first", "f", "order 1"),
        ("taken", "other", None),
        ("taken", "f", None),
        ("second", "f", "order 1"),
        *many,
    )
    assert isinstance(first, Accepted) and not first.is_repeat
    assert isinstance(mismatch, IdempotencyMismatch)
    assert repeat == replace(earlier, is_repeat=True)
    assert isinstance(refused, ReferenceInProgress)
    assert refused.payment == first.payment.id
    new = [one.payment.id for one in others if isinstance(one, Accepted)]
    assert len(new) == len(many)
    stored = {one.id for one in store.list_payments(SHOP, Query(limit=300))}
    assert stored == {earlier.payment.id, first.payment.id, *new}
    assert queue.waiting == [earlier.payment.id, first.payment.id, *new]
