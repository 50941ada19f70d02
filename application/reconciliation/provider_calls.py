"""What every reconciliation of a process shares, and how it asks a provider."""

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

#: Seconds before a call that was not answered is made again: a restart at the
#: provider's may take as long. A call that is refused for its rate waits as well.
_RETRY_DELAYS: Final = (0.5, 1.0, 2.0)
#: What a provider asks for beyond that is not waited for.
_MAX_RETRY_DELAY: Final = 60.0

_T = TypeVar("_T")


class DifferenceStore(Protocol):
    """The differences that are open. Raises StoreUnavailable."""

    def record_report(self, report: ReconciliationReport) -> None:
        """Opens the differences of ``report``, and closes those that agree by now."""


@dataclass(frozen=True, slots=True)
class ReconciliationContext:
    """What every reconciliation of a process shares."""

    statements: Callable[[Account], Statement]
    view: OperatorView
    store: PaymentStore
    differences: DifferenceStore
    limiter: RateLimiter
    breakers: BreakerStore
    #: Seconds between two calls, so that most of an account's are left for payments.
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
    """What ``ask`` returns, which makes so many calls at most.

    A read does no harm twice, so whatever may be over soon is asked again. Raises
    ProviderError, and NotReconciled at an open breaker.
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
    """Waits for leave to make so many calls, with the patience of a backlog. Raises
    NotReconciled at an open breaker.

    Nothing of a reconciliation opens a breaker: an account may lack the right to
    reports and still take payments.
    """
    breaker = context.breakers.load_all().get(account.id)
    if breaker is not None and breaker.is_open:
        words = (
            f"The circuit breaker of {account.id} is open ({breaker.reason}): no"
            " report."
        )
        raise NotReconciled(words)
    while calls:
        taken = context.limiter.acquire(account.id, calls, MAX_TOKEN_WAIT)
        calls -= taken.granted
        wait = max(taken.delay, taken.retry_in if calls else 0.0)
        context.sleep(max(wait, context.pace(account) * taken.granted))
