"""The dependencies of reconciliations, and their calls to a provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from application.admission import MAX_TOKEN_WAIT
from application.ports.admission import BreakerStore, RateLimiter
from application.ports.operators import OperatorView
from application.ports.payments import PaymentStore
from application.ports.reconciliation import Statement
from domain.account import Account
from domain.circuit_breaker import ProviderHealth, assess_health
from domain.errors import (
    ListTooLong,
    Misconfigured,
    NeedsReview,
    NotReconciled,
    ProviderError,
)
from domain.payments.submission import Mode
from domain.reconciliation import ReconciliationReport

#: Seconds before each retry of a failed call: long enough for a restart at the
#: provider.
_RETRY_DELAYS: Final = (0.5, 1.0, 2.0)
#: Seconds of the longest wait that a provider may ask for.
_MAX_RETRY_DELAY: Final = 60.0

_T = TypeVar("_T")


class DifferenceStore(Protocol):
    """The open differences. Raises StoreUnavailable."""

    def record_report(self, report: ReconciliationReport) -> None:
        """Opens the differences of ``report``, and closes those that agree now."""


@dataclass(frozen=True, slots=True)
class ReconciliationContext:
    """The dependencies of the reconciliations of a process."""

    statements: Callable[[Account], Statement]
    view: OperatorView
    store: PaymentStore
    differences: DifferenceStore
    limiter: RateLimiter
    breakers: BreakerStore
    #: Seconds between two calls, so that most of the rate limit is left for payments.
    pace: Callable[[Account], float]
    mode: Mode
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    new_id: Callable[[str], str]


def call_with_retries(
    account: Account,
    request: Callable[[], _T],
    *,
    calls: int,
    context: ReconciliationContext,
) -> _T:
    """The result of ``request``, a read which makes at most ``calls`` calls.

    A read may be repeated, so temporary errors are retried. Raises ProviderError, and
    NotReconciled at an open breaker.
    """
    for wait in _RETRY_DELAYS:
        _acquire_calls(account, calls, context)
        try:
            return request()
        except (Misconfigured, NeedsReview, ListTooLong):
            raise
        except ProviderError as error:
            if error.retry_after is not None:
                wait = min(error.retry_after.total_seconds(), _MAX_RETRY_DELAY)
            if assess_health(error) is ProviderHealth.BUSY:
                context.limiter.pause(account.id, wait)
        context.sleep(wait)
    _acquire_calls(account, calls, context)
    return request()


def _acquire_calls(
    account: Account, calls: int, context: ReconciliationContext
) -> None:
    """Waits for the tokens of so many calls, behind urgent payments.

    Raises NotReconciled at an open breaker. A reconciliation itself opens no breaker:
    an account may lack the right to reports and still take payments.
    """
    breaker = context.breakers.load_all().get(account.id)
    if breaker is not None and breaker.is_open:
        words = (
            f"The circuit breaker of {account.id} is open ({breaker.reason}): no"
            " report."
        )
        raise NotReconciled(words)
    while calls:
        grant = context.limiter.acquire(account.id, calls, MAX_TOKEN_WAIT)
        calls -= grant.granted
        wait = max(grant.delay, grant.retry_in if calls else 0.0)
        context.sleep(max(wait, context.pace(account) * grant.granted))
