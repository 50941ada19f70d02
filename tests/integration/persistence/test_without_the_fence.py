"""Tests that the version in each write excludes a second worker, on a real server.

Each fence of the store is taken out of a copy of its source. The check that the store
passes must then fail: else it would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from pymongo.database import Database

import persistence.payments
from application.ports.payments import PaymentStore
from domain.payments.settle import settle
from domain.payments.follow_ups import refund
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.payments import MongoPayments
from tests.suites.samples import (
    insert_all,
    DECLINE,
    NOW,
    SHOP,
    captured,
    origin,
    payment,
    sending,
)
from tests.support.fakes import pay

#: Text of the store's source, and its replacement without the fence.
FENCES: Final = {
    "claim": (
        '{"_id": payment.id, "version": payment.version}, [{"$set": fields}]',
        '{"_id": payment.id}, [{"$set": fields}]',
    ),
    "settle": (
        '            {"_id": payment.id, "version": payment.version},\n'
        "            {\n",
        '            {"_id": payment.id},\n            {\n',
    ),
    "amend": (
        '                    {"_id": payment.id, "version": payment.version},\n',
        '                    {"_id": payment.id},\n',
    ),
}

Stores = Callable[[str], PaymentStore]


def _one_of_two_claims_wins(stores: Stores) -> None:
    [new] = insert_all(stores("one"), [payment(now=NOW)])
    claim = sending(new)
    won = stores("one").claim_many([claim]) + stores("two").claim_many([claim])
    assert len(won) == 1


def _what_was_settled_stays(stores: Stores) -> None:
    [new] = insert_all(stores("one"), [payment(now=NOW)])
    [won] = stores("one").claim_many([sending(new)])
    paid = settle(won, pay(won), now=NOW, jitter=0)
    declined = settle(won, DECLINE, now=NOW, jitter=0)
    assert stores("one").settle_many([paid])
    assert not stores("two").settle_many([declined])


def _one_of_two_full_refunds_is_accepted(stores: Stores) -> None:
    new = replace(captured(), version=1, pending_events=(), event_count=0)
    [paid] = insert_all(stores("one"), [new])
    wanted = [
        refund(paid, amount=None, target=None, id=key, origin=origin(key), now=NOW)
        for key in ("op_a", "op_b")
    ]
    for one in wanted:
        stores("two").amend(one)
    stored = stores("one").get(SHOP, paid.id)
    assert stored is not None
    assert [one.id for one in stored.operations[1:]] == ["op_a"]


CHECKS: Final = {
    "claim": _one_of_two_claims_wins,
    "settle": _what_was_settled_stays,
    "amend": _one_of_two_full_refunds_is_accepted,
}


@pytest.mark.parametrize("fence", FENCES)
def test_the_fence_alone_keeps_two_workers_of_a_store_apart(
    fence: str, payments_db: Database[Document], vault: Vault
) -> None:
    def stores(kind: type[MongoPayments]) -> Stores:
        payments_db.payments.delete_many({})
        return lambda lease_holder: kind(payments_db, vault, lease_holder=lease_holder)

    CHECKS[fence](stores(MongoPayments))
    with pytest.raises(AssertionError):
        CHECKS[fence](stores(_without(fence)))


def _without(fence: str) -> type[MongoPayments]:
    """The store, compiled without one of its fences."""
    path = Path(persistence.payments.__file__)
    source, (before, after) = path.read_text(), FENCES[fence]
    assert source.count(before) == 1, "the fence is not where it was"
    module = ModuleType(f"payments_without_{fence}")
    exec(compile(source.replace(before, after), path, "exec"), module.__dict__)
    kind: type[MongoPayments] = module.MongoPayments
    return kind
