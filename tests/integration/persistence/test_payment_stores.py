"""Runs the suite of stores on both stores on MongoDB."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pymongo.database import Database

from application.ports.payments import PaymentStore
from persistence.codec import Document
from persistence.encryption import Vault
from persistence.group_commit import GroupCommitPayments
from persistence.payments import MongoPayments
from runtime.container import clock
from tests.suites.payment_store import PaymentStoreSuite
from tests.suites.setup import Setup, store

__all__ = ["store"]


class _Mongo:
    """One kind of store on a real server; due times are moved to pass time."""

    def __init__(
        self, kind: type[MongoPayments], database: Database[Document], vault: Vault
    ) -> None:
        self._kind = kind
        self._database = database
        self._vault = vault

    def store(self, lease_holder: str = "one") -> PaymentStore:
        return self._kind(self._database, self._vault, lease_holder=lease_holder)

    def now(self) -> datetime:
        return clock()

    def pass_time(self, by: timedelta) -> None:
        earlier = {"$subtract": ["$due_at", int(by / timedelta(milliseconds=1))]}
        self._database.payments.update_many(
            {"due_at": {"$type": "date"}}, [{"$set": {"due_at": earlier}}]
        )


@pytest.fixture(params=[MongoPayments, GroupCommitPayments])
def setup(
    request: pytest.FixtureRequest, payments_db: Database[Document], vault: Vault
) -> Setup:
    """A store of either kind."""
    return _Mongo(request.param, payments_db, vault)


class TestMongoStores(PaymentStoreSuite):
    """The suite of all stores."""
