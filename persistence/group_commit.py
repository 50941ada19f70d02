"""Group commit: requests that arrive during an insert share the next one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, Full, Queue
from typing import Final

from domain.errors import PaymentsError, StoreUnavailable
from domain.payments.payment import Payment
from persistence.codec import Document
from persistence.mongo import OPERATION_TIMEOUT
from persistence.payments import MongoPayments

#: Payments from which on a group takes no further request; a larger group would delay
#: its first payment. The payments of one request are always in one group.
GROUP_SIZE: Final = 64
#: Requests that may wait for an insert; further ones are refused.
MAX_WAITING: Final = 512


@dataclass(frozen=True, slots=True)
class _PendingInsert:
    """The payments of one request, encoded, and their results to come."""

    payments: Sequence[Payment]
    documents: Sequence[Document]
    results: Future[list[Payment | PaymentsError]] = field(default_factory=Future)


class GroupCommitPayments(MongoPayments):
    """A MongoPayments that groups concurrent inserts.

    A single request does not wait for others: the writer inserts what is pending.
    """

    max_waiting = MAX_WAITING
    _writer: threading.Thread | None = None
    _starting = threading.Lock()

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment | PaymentsError]:
        """Raises StoreUnavailable also if too many requests wait.

        Payments are encoded before they are queued, so an encoding error concerns its
        caller alone.
        """
        pending = _PendingInsert(payments, [self._encode(one) for one in payments])
        if self._writer is None:
            self._start()
        try:
            self._queue.put_nowait(pending)
        except Full:
            message = "too many payments are waiting for storage"
            raise StoreUnavailable(message) from None
        try:
            return pending.results.result(2 * OPERATION_TIMEOUT)
        except FutureTimeout:
            raise StoreUnavailable from None

    def _start(self) -> None:
        """Starts the writer on first use, because a thread does not survive a fork."""
        with self._starting:
            if self._writer is None:
                self._queue: Queue[_PendingInsert] = Queue(self.max_waiting)
                self._writer = threading.Thread(
                    target=self._write_groups, name="inserts", daemon=True
                )
                self._writer.start()

    def _write_groups(self) -> None:
        while True:
            group = [self._queue.get()]
            count = len(group[0].payments)
            try:
                while count < GROUP_SIZE:
                    group.append(self._queue.get_nowait())
                    count += len(group[-1].payments)
            except Empty:
                pass
            self._write_group(group)

    def _write_group(self, group: Sequence[_PendingInsert]) -> None:
        try:
            stored = iter(
                self._insert(
                    [payment for one in group for payment in one.payments],
                    [document for one in group for document in one.documents],
                )
            )
        except Exception as error:
            for one in group:
                one.results.set_exception(error)
            return
        for one in group:
            one.results.set_result(list(islice(stored, len(one.payments))))
