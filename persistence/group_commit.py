"""Group commit: requests that arrive during an insert share the next one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError as FutureTimeout
from queue import Empty, Full, Queue
from typing import Final

from domain.errors import PaymentsError, StoreUnavailable
from domain.payments.payment import Payment
from persistence.codec import Document
from persistence.mongo import OPERATION_TIMEOUT
from persistence.payments import MongoPayments, unwrap

#: Payments in one insert; a larger group would delay its first payment.
GROUP_SIZE: Final = 64
#: Payments that may wait for an insert; further ones are refused.
MAX_WAITING: Final = 512

_PendingInsert = tuple[Payment, Document, "Future[Payment | PaymentsError]"]


class GroupCommitPayments(MongoPayments):
    """A MongoPayments that groups concurrent inserts.

    A single request does not wait for others: the writer inserts what is pending.
    """

    max_waiting = MAX_WAITING
    _writer: threading.Thread | None = None
    _starting = threading.Lock()

    def insert_many(self, payments: Sequence[Payment]) -> list[Payment]:
        """Raises StoreUnavailable also if too many payments wait.

        Payments are encoded before they are queued, so an encoding error concerns its
        caller alone.
        """
        encoded = [(payment, self._encode(payment)) for payment in payments]
        inserts = [self._enqueue(payment, document) for payment, document in encoded]
        try:
            return [unwrap(one.result(2 * OPERATION_TIMEOUT)) for one in inserts]
        except FutureTimeout:
            raise StoreUnavailable from None

    def _enqueue(
        self, payment: Payment, document: Document
    ) -> Future[Payment | PaymentsError]:
        future: Future[Payment | PaymentsError] = Future()
        try:
            self._pending().put_nowait((payment, document, future))
        except Full:
            raise StoreUnavailable(
                "too many payments are waiting for storage"
            ) from None
        return future

    def _pending(self) -> Queue[_PendingInsert]:
        """The queue, created with its writer on first use: threads do not survive a
        fork."""
        with self._starting:
            if self._writer is None:
                self._queue: Queue[_PendingInsert] = Queue(self.max_waiting)
                self._writer = threading.Thread(
                    target=self._write_groups, name="inserts", daemon=True
                )
                self._writer.start()
        return self._queue

    def _write_groups(self) -> None:
        while True:
            group = [self._queue.get()]
            try:
                while len(group) < GROUP_SIZE:
                    group.append(self._queue.get_nowait())
            except Empty:
                pass
            self._write_group(group)

    def _write_group(self, group: list[_PendingInsert]) -> None:
        try:
            payments = [payment for payment, _, _ in group]
            stored = self._insert(payments, [document for _, document, _ in group])
        except Exception as error:
            for *_, future in group:
                future.set_exception(error)
            return
        for (*_, future), one in zip(group, stored, strict=True):
            future.set_result(one)
