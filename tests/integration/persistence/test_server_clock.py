"""Tests of the time by MongoDB's clock with a wrong machine's clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from pymongo.database import Database

from persistence import mongo
from persistence.codec import Document
from persistence.server_clock import PERIOD, TOLERANCE, ServerClock
from runtime import container, processes

#: The round trip of a busy machine.
SLACK = timedelta(seconds=TOLERANCE)


@dataclass
class Machine:
    """A machine's clocks, which a test sets wrong."""

    ahead: float = 0.0
    passed: float = 0.0

    def wall(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


def is_now(at: datetime) -> bool:
    return abs(at - container.clock()) <= SLACK


@pytest.mark.parametrize("ahead", [120.0, -120.0, 86_400.0, 1.0])
def test_a_wrong_clock_gives_the_servers_time(
    payments_db: Database[Document], ahead: float
) -> None:
    machine = Machine(ahead)
    clock = ServerClock(payments_db, wall=machine.wall, monotonic=machine.monotonic)
    assert is_now(clock())
    assert clock.skew() == pytest.approx(ahead, abs=TOLERANCE)


@pytest.mark.parametrize("step", [120.0, -120.0])
def test_a_clock_set_while_running_does_not_change_the_time(
    payments_db: Database[Document], step: float
) -> None:
    machine = Machine()
    clock = ServerClock(payments_db, wall=machine.wall, monotonic=machine.monotonic)
    assert is_now(clock())
    machine.ahead = step
    assert is_now(clock()), "without another reading"
    machine.passed += PERIOD
    assert processes.wait_until(lambda: is_now(clock()), seconds=5), "and with one"


def test_a_right_clock_is_used_unchanged(
    payments_db: Database[Document],
) -> None:
    machine = Machine(TOLERANCE / 5)
    clock = ServerClock(payments_db, wall=machine.wall, monotonic=machine.monotonic)
    clock()  # reads the server's clock, for an unknown time
    before = machine.wall()
    assert before - 0.001 <= clock().timestamp() <= machine.wall(), "in milliseconds"


def test_the_last_reading_is_used_while_the_server_is_unavailable(
    mongo_url: str,
) -> None:
    machine = Machine(120.0)
    database = mongo.connect(mongo_url, "none")
    clock = ServerClock(database, wall=machine.wall, monotonic=machine.monotonic)
    assert is_now(clock())
    database.client.close()
    machine.passed += PERIOD
    machine.ahead += PERIOD
    assert clock.skew() == pytest.approx(120.0, abs=TOLERANCE)


def test_the_machines_clock_is_used_without_a_reading() -> None:
    database = mongo.connect("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50", "x")
    clock = ServerClock(database)
    assert is_now(clock())
    assert clock.skew() == 0.0
    database.client.close()
