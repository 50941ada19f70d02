"""The fakes of the operators' ports pass their suite."""

from __future__ import annotations

import pytest

from tests.suites.replays import OperatorPorts, OperatorSuite
from tests.suites.samples import NOW
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryReplays, MemoryView


@pytest.fixture
def operator_ports() -> OperatorPorts:
    """The stores of replays in memory."""
    store = MemoryStore(lambda: NOW)
    return OperatorPorts(store, MemoryView(store), MemoryReplays(lambda: NOW))


class TestMemoryOperatorStores(OperatorSuite):
    """The suite of all implementers."""
