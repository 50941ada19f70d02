"""Replays on MongoDB: what the ports promise, and how their queries run."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from domain.errors import NeedsReview
from domain.replaying import Search
from domain.states import State
from domain.submission import Mode, ProviderName
from persistence.codec import Document
from persistence.payments import MongoPayments
from persistence.replays import MongoOperatorView, MongoReplays
from persistence.vault import Vault
from tests.suites.replays import Office, OperatorSuite, brought


@pytest.fixture
def office(payments_db: Database[Document], vault: Vault) -> Office:
    """All of it on a real server."""
    return Office(
        MongoPayments(payments_db, vault, holder="one"),
        MongoOperatorView(payments_db, vault, Mode.TEST),
        MongoReplays(payments_db, Mode.TEST),
    )


class TestMongoOffice(OperatorSuite):
    """The suite of all implementers."""


def test_another_modes_sets_and_payments_are_not_there(
    office: Office, payments_db: Database[Document], vault: Vault
) -> None:
    one = brought(office.store, 1, NeedsReview("odd"))
    live = MongoOperatorView(payments_db, vault, Mode.LIVE)
    assert live.known([one.id]) == []
    assert live.found(Search(), before=None, limit=10) == []


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(), "stuck"),
        (Search(state=State.DEAD, provider=ProviderName.STRIPE), "stuck"),
        (Search(merchant="shop", state=State.SUCCEEDED), "newest"),
        (Search(ids=("pay_1", "pay_2"), state=State.SUCCEEDED), "_id_"),
    ],
)
def test_a_search_reads_by_index_in_its_order(
    office: Office, payments_db: Database[Document], search: Search, index: str
) -> None:
    for number in range(1, 30):
        brought(office.store, number, NeedsReview("odd") if number < 5 else None)
    payments_db["system.profile"].drop()
    payments_db.command("profile", 2)
    office.view.found(search, before="pay_2", limit=10)
    payments_db.command("profile", 0)
    [asked] = payments_db["system.profile"].find({"op": "query"})
    assert index in _indexes(asked["execStats"])
    assert not asked.get("hasSortStage"), asked


def _indexes(stage: Any) -> set[str]:
    """The names of the indexes that a plan reads."""
    found = {stage["indexName"]} if "indexName" in stage else set()
    below = [stage.get("inputStage"), *stage.get("inputStages", [])]
    return found.union(*(_indexes(one) for one in below if one))
