"""The choice of a payment's account, and the rerouting to its next account.

A wrong rerouting could charge twice. So only a first operation is rerouted that was
never sent, was proven not executed, or was declined, and only without any sign that
an account may have carried it out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Final

from domain.account import Account
from domain.error_details import CALL_NOT_MADE
from domain.errors import InvalidPayment, Misconfigured, NotSent, ProviderError
from domain.payments.answer import Answer, Verdict
from domain.payments.event_types import EventType
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from domain.payments.states import UNSENT, State, Trigger
from domain.payments.submission import Submission

#: The reason of a rerouting without a call: the breaker of the account is open.
BREAKER_OPEN: Final = "breaker_open"

#: The most accounts that a payment tries; then it fails, or needs an operator.
MAX_ROUTE: Final = 5
#: The most accounts of one merchant and mode: each choice reads all of them.
MAX_ACCOUNTS: Final = 20
#: The largest weight: whole percents need no more.
MAX_WEIGHT: Final = 1000
#: The most decline codes that a merchant may list: Stripe has about fifty.
MAX_CODES: Final = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of a merchant's accounts, with the data for the choice."""

    account: Account
    currencies: frozenset[str] = frozenset()  #: ISO 4217; empty: any
    weight: int = 1  #: its share; 0: only after the others
    retired: bool = False  #: it gets no new payments


@dataclass(frozen=True, slots=True)
class Routes:
    """A merchant's accounts, and the declines that reroute a payment."""

    candidates: tuple[Candidate, ...] = ()  #: empty: the deployment's own accounts
    decline_codes: tuple[str, ...] = ()  #: a decline with one of these is rerouted


def choose_accounts(
    routes: Routes, submission: Submission, *, draw: float
) -> tuple[Account, ...]:
    """The accounts to try, in order; ``draw`` in [0, 1) decides by their weights.

    A merchant with accounts of its own, even with retired ones only, never pays through
    the deployment's: its money must not go to another owner. Raises InvalidPayment
    where no account takes the payment.
    """
    if submission.provider is not None:
        submission.check_for(submission.provider)
    if not routes.candidates:
        if submission.provider is None:
            words = "is needed: this merchant has no accounts of its own"
            raise InvalidPayment(words, field="provider")
        return (Account.own(submission.provider),)
    fitting = [one for one in routes.candidates if _is_fitting(one, submission)]
    if not fitting:
        words = (
            f"none of the merchant's accounts takes this payment in"
            f" {submission.amount.currency}"
        )
        raise InvalidPayment(words, field="provider")
    # Accounts of the token's provider come first; at the others the payer has to act.
    with_token = [one for one in fitting if _has_token(one, submission)]
    others = [one for one in fitting if one not in with_token]
    return (*_draw_order(with_token, draw), *_draw_order(others, draw))[:MAX_ROUTE]


def reroute_around_outage(payment: Payment, *, now: datetime) -> Payment | None:
    """The payment at its next account, since the breaker of this one is open.

    None where it must not be rerouted, or has no next account.
    """
    first = payment.first_operation
    is_free = payment.claim is None and first.state in UNSENT
    if not is_free or not _is_untaken(payment, first):
        return None
    return _to_next_account(payment, first, BREAKER_OPEN, now)


def reroute_after_failure(
    payment: Payment,
    operation: Operation,
    outcome: Answer | ProviderError,
    event_data: Mapping[str, str | int],
    *,
    now: datetime,
) -> Payment | None:
    """The payment at its next account, where ``outcome`` of a send proves that this one
    did not carry it out; ``event_data`` describes the outcome on the timeline.

    None where it must not be rerouted, or has no next account.
    """
    code = _refusal_code(payment, outcome)
    is_running = operation.state is State.RUNNING
    if code is None or not is_running or not _is_untaken(payment, operation):
        return None
    spent = 0 if isinstance(outcome, Misconfigured) else 1
    after = replace(operation, attempts=operation.attempts - 1 + spent, error=code)
    answered = payment.transition(
        after, Trigger.ROUTED, EventType.ATTEMPT_ANSWERED, now=now, data=event_data
    )
    return _to_next_account(answered, answered.first_operation, code, now)


def _is_fitting(candidate: Candidate, submission: Submission) -> bool:
    provider = candidate.account.provider
    if candidate.retired or submission.provider not in (None, provider):
        return False
    if candidate.currencies and submission.amount.currency not in candidate.currencies:
        return False
    try:
        submission.check_for(provider)
    except InvalidPayment:
        return False
    return True


def _has_token(candidate: Candidate, submission: Submission) -> bool:
    return submission.payment_method_for(candidate.account.provider) is not None


def _draw_order(fitting: Sequence[Candidate], draw: float) -> list[Account]:
    """A random order, in which an account's chance to be next is its share of the rest.

    One draw is enough: its position within the chosen share is the next draw.
    """
    left, order = sorted(fitting, key=lambda one: one.account.id), list[Account]()
    while weighted := [one for one in left if one.weight]:
        ends = list(accumulate(one.weight for one in weighted))
        at = draw * ends[-1]
        index = min(bisect_right(ends, at), len(weighted) - 1)
        chosen = weighted[index]
        draw = min(max(1 - (ends[index] - at) / chosen.weight, 0.0), 1.0)
        order.append(chosen.account)
        left.remove(chosen)
    return [*order, *(one.account for one in left)]


def _refusal_code(payment: Payment, outcome: Answer | ProviderError) -> str | None:
    """The code of the proof that the account did not carry it out, else None."""
    if isinstance(outcome, (NotSent, Misconfigured)):
        return None if outcome.detail in CALL_NOT_MADE else outcome.detail
    if not isinstance(outcome, Answer) or outcome.verdict is not Verdict.DECLINED:
        return None
    failure = outcome.failure
    codes = (failure.decline_code, failure.code) if failure else ()
    return next((one for one in codes if one in payment.routes_on), None)


def _is_untaken(payment: Payment, operation: Operation) -> bool:
    """Whether it is the payment's only operation, and no account has a trace of it.

    An unsent later generation was proven absent by a lookup, or follows a rerouting.
    """
    return (
        bool(payment.route)
        and len(payment.operations) == 1
        and operation.lookups_since is None
        and not operation.refs
        and not operation.approved
        and not operation.may_have_duplicate_order
    )


def _to_next_account(
    payment: Payment, operation: Operation, reason: str, now: datetime
) -> Payment:
    account, *rest = payment.route
    unsent = replace(
        operation,
        generation=operation.generation + 1,
        send=None,
        due_at=now,
        waiting_for=None,
    )
    data: dict[str, str | int] = {
        "from_account": payment.account.id,
        "to_account": account.id,
        "reason": reason,
    }
    moved = payment.transition(
        unsent, Trigger.ROUTED, EventType.PAYMENT_ROUTED, now=now, data=data
    )
    return replace(moved, account=account, route=tuple(rest), last_error=None)
