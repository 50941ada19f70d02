"""The inbox in memory passes the suite of all inboxes."""

from __future__ import annotations

from datetime import datetime

import pytest

from application.ports.webhooks import WebhookInbox
from tests.suites.inbox import InboxSuite, InboxSetup
from tests.suites.samples import NOW
from tests.support.memory_inbox import MemoryInbox


class _Post:

    inbox: WebhookInbox
    now: datetime = NOW


@pytest.fixture
def inbox_setup() -> InboxSetup:
    """An inbox in memory."""
    made = _Post()
    made.inbox = MemoryInbox(lambda: made.now)
    return made


class TestMemoryInbox(InboxSuite):
    """The suite of all implementers."""
