"""What every reconciliation of a process shares, and how it asks a provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from application.admission import PATIENCE
from application.ports.admission import Breakers, Limiter
from application.ports.operators import OperatorView
from application.ports.payments import PaymentStore
from application.ports.reconciliation import Statement
from domain.account import Account
from domain.circuit_breaker import Sign, sign_of
from domain.errors import (
    ListTooLong,
    Misconfigured,
    NeedsReview,
    NotReconciled,
    ProviderError,
)
from domain.payments.submission import Mode
from domain.reconciliation import Report

#: Seconds before a call that was not answered is made again: a restart at the
#: provider's may take as long. A call that is refused for its rate waits as well.
_WAITS: Final = (0.5, 1.0, 2.0)
#: What a provider asks for beyond that is not waited for.
_LONGEST_WAIT: Final = 60.0

_T = TypeVar("_T")


class DifferenceStore(Protocol):
    """The differences that are open. Raises StoreUnavailable."""

    def take(self, report: Report) -> None:
        """Opens the differences of ``report``, and closes those that agree by now."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """What every reconciliation of a process shares."""

    statements: Callable[[Account], Statement]
    view: OperatorView
    store: PaymentStore
    differences: DifferenceStore
    limiter: Limiter
    breakers: Breakers
    #: Seconds between two calls, so that most of an account's are left for payments.
    pace: Callable[[Account], float]
    mode: Mode
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    new_id: Callable[[str], str]


def called(
    account: Account, ask: Callable[[], _T], *, calls: int, auditor: Auditor
) -> _T:
    """What ``ask`` returns, which makes so many calls at most.

    A read does no harm twice, so whatever may be over soon is asked again. Raises
    ProviderError, and NotReconciled at an open gate.
    """
    for wait in _WAITS:
        _take(account, calls, auditor)
        try:
            return ask()
        except (Misconfigured, NeedsReview, ListTooLong):
            raise
        except ProviderError as error:
            if error.retry_after is not None:
                wait = min(error.retry_after.total_seconds(), _LONGEST_WAIT)
            if sign_of(error) is Sign.BUSY:
                auditor.limiter.pause(account.id, wait)
        auditor.sleep(wait)
    _take(account, calls, auditor)
    return ask()


def _take(account: Account, calls: int, auditor: Auditor) -> None:
    """Waits for leave to make so many calls, with the patience of a backlog. Raises
    NotReconciled at an open gate.

    Nothing of a reconciliation opens a gate: an account may lack the right to reports
    and still take payments.
    """
    gate = auditor.breakers.gates().get(account.id)
    if gate is not None and gate.is_open:
        words = f"The gate before {account.id} is open ({gate.reason}): no report."
        raise NotReconciled(words)
    while calls:
        taken = auditor.limiter.take(account.id, calls, PATIENCE)
        calls -= taken.granted
        wait = max(taken.after, taken.again_in if calls else 0.0)
        auditor.sleep(max(wait, auditor.pace(account) * taken.granted))
