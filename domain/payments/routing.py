"""Where a payment is carried out: the accounts it may go to, and when it goes on.

Going on to another account is the one step that could charge twice where it guesses.
So it is taken only for a first operation that nobody has: never sent, proven not
executed, or declined for good; and never while anything says that an account may have
heard of it.
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

#: Why it did, where no call was made: nothing goes through to the account before it.
BREAKER_OPEN: Final = "breaker_open"

#: Accounts that a payment tries at most: after so many that did not take it, a person
#: should hear of it rather than the next one.
MAX_ROUTE: Final = 5
#: Accounts of one merchant and mode: all are read with each choice.
MAX_ACCOUNTS: Final = 20
#: A share beside another one's: whole percents need no more.
MAX_WEIGHT: Final = 1000
#: Decline codes that a merchant may list: Stripe has about fifty.
MAX_CODES: Final = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of a merchant's accounts, as far as choosing goes."""

    account: Account
    currencies: frozenset[str] = frozenset()  #: ISO 4217; none: any
    weight: int = 1  #: its share; 0: only where the others did not take it
    retired: bool = False  #: it takes no new payments


@dataclass(frozen=True, slots=True)
class Routes:
    """What a merchant has chosen: where its payments may go, and on which declines."""

    candidates: tuple[Candidate, ...] = ()  #: none: the deployment's own accounts
    decline_codes: tuple[str, ...] = ()  #: a decline with one of these goes on


def choose_accounts(
    routes: Routes, submission: Submission, *, draw: float
) -> tuple[Account, ...]:
    """The accounts to try, in order; ``draw`` in [0, 1) decides by their weights.

    Whoever has accounts of its own has its payments made there alone, retired ones
    included: money must not end up with somebody else because an account was retired.
    Raises InvalidPayment where no account takes the payment.
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
    # Whose token it is goes first; elsewhere the payer has to act.
    able = [one for one in fitting if _has_token(one, submission)]
    other = [one for one in fitting if one not in able]
    return (*_draw_order(able, draw), *_draw_order(other, draw))[:MAX_ROUTE]


def reroute_around_outage(payment: Payment, *, now: datetime) -> Payment | None:
    """The payment at its next account, as the breaker of this one is open.

    None where it may not go on, or there is none.
    """
    first = payment.first_operation
    free = payment.claim is None and first.state in UNSENT
    if not free or not _is_untaken(payment, first):
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
    did not take it; ``told`` is what the timeline has of the outcome.

    None where it may not go on, or there is none.
    """
    why = _refusal_code(payment, outcome)
    running = operation.state is State.RUNNING
    if why is None or not running or not _is_untaken(payment, operation):
        return None
    spent = 0 if isinstance(outcome, Misconfigured) else 1
    asked = replace(operation, attempts=operation.attempts - 1 + spent, error=why)
    answered = payment.transition(
        asked, Trigger.ROUTED, EventType.ATTEMPT_ANSWERED, now=now, data=event_data
    )
    return _to_next_account(answered, answered.first_operation, why, now)


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
    """In an order in which each one's chance to be next is its share of what is left.

    One draw is enough: where in its share it fell is as even as the draw was.
    """
    left, order = sorted(fitting, key=lambda one: one.account.id), list[Account]()
    while weighty := [one for one in left if one.weight]:
        ends = list(accumulate(one.weight for one in weighty))
        at = draw * ends[-1]
        place = min(bisect_right(ends, at), len(weighty) - 1)
        found = weighty[place]
        draw = min(max(1 - (ends[place] - at) / found.weight, 0.0), 1.0)
        order.append(found.account)
        left.remove(found)
    return [*order, *(one.account for one in left)]


def _refusal_code(payment: Payment, outcome: Answer | ProviderError) -> str | None:
    """Why the account did not take it, in a code; None where it may have."""
    if isinstance(outcome, (NotSent, Misconfigured)):
        return None if outcome.detail in CALL_NOT_MADE else outcome.detail
    if not isinstance(outcome, Answer) or outcome.verdict is not Verdict.DECLINED:
        return None
    failure = outcome.failure
    codes = (failure.decline_code, failure.code) if failure else ()
    return next((one for one in codes if one in payment.routes_on), None)


def _is_untaken(payment: Payment, operation: Operation) -> bool:
    """Whether it is the payment's only operation, and no account shows a trace of it.

    A later generation that is unsent was proven absent, by a look or by going on.
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
    to, *rest = payment.route
    fresh = replace(
        operation,
        generation=operation.generation + 1,
        send=None,
        due_at=now,
        waiting_for=None,
    )
    data: dict[str, str | int] = {
        "from_account": payment.account.id,
        "to_account": to.id,
        "reason": reason,
    }
    moved = payment.transition(
        fresh, Trigger.ROUTED, EventType.PAYMENT_ROUTED, now=now, data=data
    )
    return replace(moved, account=to, route=tuple(rest), last_error=None)
