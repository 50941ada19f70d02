"""Runs the suite of breakers on MongoDB."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pymongo.database import Database

from domain.circuit_breaker import TripReason
from domain.errors import StoreUnavailable
from domain.payments.submission import ProviderName
from persistence import mongo
from persistence.circuit_breakers import MongoBreakerStore
from persistence.codec import Document
from tests.suites.breakers import BreakersSetup, BreakersSuite, breakers

__all__ = ["breakers"]


class _Mongo:
    """Breakers on a real server; due times are moved to pass time."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def breakers(self) -> MongoBreakerStore:
        return MongoBreakerStore(self._database)

    def pass_time(self, by: timedelta) -> None:
        earlier = {"$subtract": ["$probe_at", int(by / timedelta(milliseconds=1))]}
        self._database.circuit_breakers.update_many(
            {"probe_at": {"$type": "date"}}, [{"$set": {"probe_at": earlier}}]
        )


@pytest.fixture
def setup(payments_db: Database[Document]) -> BreakersSetup:
    """Breakers that are all closed."""
    payments_db.circuit_breakers.delete_many({})
    return _Mongo(payments_db)


class TestMongoBreakers(BreakersSuite):
    """The suite of all breakers."""


def test_every_call_without_a_server_raises_in_time() -> None:
    database = mongo.connect("mongodb://127.0.0.1:1", "none")
    lost = MongoBreakerStore(database)
    with pytest.raises(StoreUnavailable):
        lost.load_all()
    with pytest.raises(StoreUnavailable):
        lost.open(
            ProviderName.STRIPE, trip_reason=TripReason.FAILING, reason="r", by="one"
        )
    database.client.close()
