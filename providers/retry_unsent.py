"""Retries a failed connection within one attempt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_random_exponential,
)

from application.ports.provider import Provider
from domain.errors import NotSent
from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment

#: Sends of one attempt: enough while a load balancer replaces a server.
_SENDS: Final = 3
#: Longest wait between two sends, in seconds.
_LONGEST_WAIT: Final = 0.5
#: Seconds after which no send begins. A worker slot is held for so long, and a
#: connection without an answer times out later. Longer waits use ``due_at``.
_WITHIN: Final = 1.0


class RetryUnsent:
    """A Provider that repeats only calls proven not sent."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def prepare(self, payment: Payment, operation: Operation) -> str:
        return self._provider.prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        return _with_resends(self._provider.send, payment)

    def look_up(self, payment: Payment) -> Answer:
        return _with_resends(self._provider.look_up, payment)


def _with_resends(call: Callable[[Payment], Answer], payment: Payment) -> Answer:
    """The answer of ``call``, repeated while it is not sent.

    A call that succeeds at once does not pay for the bookkeeping of retries.
    """
    began = time.monotonic()
    try:
        return call(payment)
    except NotSent as error:
        unsent = [error]

    def attempt() -> Answer:
        if unsent:  # the call above is the first attempt
            raise unsent.pop()
        return call(payment)

    left = began + _WITHIN - time.monotonic()
    retrying = Retrying(
        retry=retry_if_exception_type(NotSent),
        stop=stop_any(stop_after_attempt(_SENDS), stop_before_delay(left)),
        wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_WAIT),
        reraise=True,
    )
    return retrying(attempt)
