"""Claim, call, settle: the hot path, for a group of payments at once."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from application.logs import get_logger
from application.ports.admission import AdmissionControl
from application.ports.payments import PaymentStore
from application.ports.provider import Provider
from domain.account import Account
from domain.circuit_breaker import Call, CallKind
from domain.error_details import ErrorDetail
from domain.errors import NotSent, OutcomeUnknown, ProviderError
from domain.payments.answer import Answer
from domain.payments.apply_answer import settle
from domain.payments.event_types import EventType
from domain.payments.external_changes import find_discoveries, reject_overtaken
from domain.payments.operation import ClaimAction, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.routing import reroute_around_outage
from domain.payments.start_attempt import (
    advance_hold,
    start_lookup,
    expire_claim,
    record_send,
)
from domain.payments.submission import ProviderName
from domain.payments.transitions import (
    escalate,
    find_error_code,
    is_correction,
    is_escalation,
)

log = get_logger(__name__)

#: The answer of a payment that was handed to a person instead of a provider.
ESCALATED: Final = "escalated"

#: A claim older than this makes no call any more: its worker was stopped meanwhile.
#: Far less than the silence after which a look may prove that nothing arrived.
_MAX_CLAIM_AGE: Final = timedelta(minutes=1)

#: Settles of one answer: requests may append to the payment meanwhile, each once.
_MAX_SETTLE_TRIES: Final = 20

Outcome = Answer | ProviderError


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """One attempt's end, as it was stored."""

    payment: Payment
    operation: Operation
    answer: str  #: the verdict, or the code of the error that stood in its place
    is_correction: bool = False  #: a later fact moved what was final
    is_escalation: bool = False  #: it became a person's
    discovered: Sequence[Kind] = ()  #: what others did, that this attempt has found
    code: str | None = None  #: what the provider said went wrong


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """What every attempt of a worker process shares."""

    store: PaymentStore
    providers: Callable[[Account], Provider]  #: whose calls go to that account
    admission: AdmissionControl
    #: Carries the calls to a provider; its size bounds them. One each, so that one
    #: that hangs does not hold up the other.
    executors: Mapping[ProviderName, Executor]
    clock: Callable[[], datetime]
    jitter: Callable[[], float]  #: uniform in [0, 1]
    held_ids: set[str]  #: ids this process works on, for whoever renews the leases
    #: Set once the process shall end: calls that are not made yet are given back.
    stopping: Event = field(default_factory=Event)


def run(
    ids: Sequence[str], context: AttemptContext, *, urgent: bool = True
) -> Iterator[list[AttemptResult]]:
    """Works on those of ``ids`` that are due, and yields them as they are stored.

    ``urgent`` ones go first where an account's limit is reached. Whatever goes wrong
    with one payment stays with it. Raises StoreUnavailable where the store does; leases
    then run out and recovery takes over.
    """
    claims = [_next_step(one, context) for one in _admit(ids, context, urgent)]
    won = context.store.claim_many(claims)
    context.held_ids.update(payment.id for payment in won if payment.claim)
    try:
        reviewed = {
            claim.id: name for claim in claims if (name := _escalated_operation(claim))
        }
        reviews = [
            AttemptResult(
                one, one.get_operation(reviewed[one.id]), ESCALATED, is_escalation=True
            )
            for one in won
            if one.id in reviewed
        ]
        if reviews:
            yield reviews
        for group in _call_providers(won, context):
            yield _settle_group(group, context)
    finally:
        context.held_ids.difference_update(payment.id for payment in won)


def _admit(ids: Sequence[str], context: AttemptContext, urgent: bool) -> list[Payment]:
    """The payments that are due, as far as their accounts' breakers let them in.

    Those before an open breaker go on to their next account, where they may. That is
    written down by the claim: who is let in nowhere stays where it is. Accounts at
    their limits are waited for together, as long as the last of them takes.
    """
    due = _group_by_account(context.store.load_due(ids))
    admitted, after = list[Payment](), 0.0
    stopped = set[str]()  # accounts that no charge goes through to
    while due:
        calls = {
            name: _payments_by_call(payments, context) for name, payments in due.items()
        }
        admissions = {
            account: context.admission.admit(
                account, list(calls[account]), urgent=urgent
            )
            for account in due
        }
        for account, admission in admissions.items():
            if any(one.kind is CallKind.CHARGES for one in admission.blocked):
                stopped.add(account)
        onwards = list[Payment]()
        for account, admission in admissions.items():
            waiting = calls[account]
            admitted += [waiting.pop(call) for call in admission.granted]
            after = max(after, admission.delay)
            behind = [waiting.pop(call) for call in admission.blocked]
            moved, left = _reroute_blocked(behind, stopped, context)
            onwards += moved
            left += waiting.values()
            if left:
                put_off = [payment.id for payment in left]
                context.store.postpone(put_off, admission.retry_in)
        due = _group_by_account(onwards)
    context.stopping.wait(after)
    return admitted


def _payments_by_call(
    payments: Iterable[Payment], context: AttemptContext
) -> dict[Call, Payment]:
    """The payments by the call that each begins with."""
    now = context.clock()
    return {
        Call.for_due_work(expire_claim(one, now=now), now=now): one for one in payments
    }


def _group_by_account(payments: Iterable[Payment]) -> dict[str, list[Payment]]:
    found: dict[str, list[Payment]] = {}
    for payment in payments:
        found.setdefault(payment.account.id, []).append(payment)
    return found


def _reroute_blocked(
    payments: Sequence[Payment], blocked: Container[str], context: AttemptContext
) -> tuple[list[Payment], list[Payment]]:
    """Those that go on to an account that is not ``stopped``, and those that wait."""
    moved, left = list[Payment](), list[Payment]()
    for payment in payments:
        step = reroute_around_outage(payment, now=context.clock())
        while step is not None and step.account.id in blocked:
            step = reroute_around_outage(step, now=context.clock())
        if step is None:
            left.append(payment)
        else:
            moved.append(step)
    return moved, left


def _next_step(payment: Payment, context: AttemptContext) -> Payment:
    """What is owed next, written down; or the hand-over to a person."""
    now = context.clock()
    payment = expire_claim(payment, now=now)
    operation, hold = payment.next_operation, payment.hold
    if hold is not None and hold.next_at is not None and hold.next_at == payment.due_at:
        payment = advance_hold(payment, now=max(now, hold.next_at))
        operation = payment.next_operation
    if operation is None:
        return payment
    fitting = reject_overtaken(payment, now=now)
    if fitting is not payment:
        return fitting
    if operation.needs_lookup(now=now):
        return start_lookup(payment, operation, now=now)
    try:
        provider = context.providers(payment.account)
        body = provider.prepare(payment, operation)
        return record_send(payment, operation, body, now=now)
    except Exception:  # whatever it is, the others in the group go on
        log.exception("prepare_failed", payment=payment.id)
        return escalate(payment, operation, ReviewReason.CANNOT_PREPARE, now=now)


def _call_providers(
    claimed: Sequence[Payment], context: AttemptContext
) -> Iterator[list[tuple[Payment, Outcome]]]:
    """Calls the providers for all at once; yields the answers as they gather."""
    calls: dict[Future[Outcome], Payment] = {
        context.executors[payment.provider].submit(
            _call_provider, payment, context
        ): payment
        for payment in claimed
        if payment.claim is not None
    }
    while calls:
        done, _ = wait(calls, return_when=FIRST_COMPLETED)
        yield [(calls.pop(call), call.result()) for call in done]


def _call_provider(payment: Payment, context: AttemptContext) -> Outcome:
    """One provider call; an error that nobody foresaw leaves the outcome unknown."""
    if context.stopping.is_set():
        return NotSent(ErrorDetail.WORKER_STOPPING)
    claim = payment.claim
    if claim is None or context.clock() > claim.at + _MAX_CLAIM_AGE:
        return NotSent(ErrorDetail.CLAIM_TOO_OLD)
    try:
        provider = context.providers(payment.account)
        looks = claim.action is ClaimAction.LOOKUP
        return provider.look_up(payment) if looks else provider.send(payment)
    except ProviderError as error:
        return error
    except Exception:
        log.exception("provider_adapter_failed", payment=payment.id)
        return OutcomeUnknown(ErrorDetail.ADAPTER_FAILED)


def _settle_group(
    group: Sequence[tuple[Payment, Outcome]], context: AttemptContext
) -> list[AttemptResult]:
    """Stores what the group came to; on top of what was appended to it meanwhile."""
    outcomes = {payment.id: outcome for payment, outcome in group}
    worked_on = {payment.id: payment.claimed_operation.id for payment, _ in group}
    left, done = [payment for payment, _ in group], list[Payment]()
    corrected, escalated = set[str](), set[str]()
    discovered = dict[str, Sequence[Kind]]()
    # Not ``retry_on_conflict``: each round is one write for all that are left.
    for _ in range(_MAX_SETTLE_TRIES):
        now = context.clock()
        steps = [
            settle(one, outcomes[one.id], now=now, jitter=context.jitter())
            for one in left
        ]
        stored = context.store.settle_many(steps)
        done += stored
        corrected.update(one.id for one in steps if is_correction(one))
        escalated.update(one.id for one in steps if is_escalation(one))
        discovered.update((one.id, find_discoveries(one)) for one in steps)
        written = {payment.id for payment in stored}
        missed = [payment for payment in left if payment.id not in written]
        # Where it has not moved, the write was refused: the lease runs out, and the
        # next attempt finds out at the provider what became of it.
        tried = {payment.id: payment.version for payment in missed}
        held = context.store.load_held(missed) if missed else []
        left = [one for one in held if one.version != tried[one.id]]
        if not left:
            break
    context.held_ids.difference_update(outcomes)
    for lost in outcomes.keys() - {payment.id for payment in done}:
        log.warning("lease_lost", payment=lost)
    _record_outcomes(group, context)
    return [
        AttemptResult(
            payment=one,
            operation=one.get_operation(worked_on[one.id]),
            answer=_outcome_label(outcomes[one.id]),
            is_correction=one.id in corrected,
            is_escalation=one.id in escalated,
            discovered=discovered[one.id],
            code=find_error_code(outcomes[one.id]),
        )
        for one in done
    ]


def _record_outcomes(
    group: Sequence[tuple[Payment, Outcome]], context: AttemptContext
) -> None:
    told: dict[str, list[tuple[Call, Outcome]]] = {}
    for payment, outcome in group:
        told.setdefault(payment.account.id, []).append(
            (Call.for_claim(payment), outcome)
        )
    for account, outcomes in told.items():
        context.admission.record(account, outcomes)


def _escalated_operation(step: Payment) -> str | None:
    """The id of the operation that a step without a claim made a person's."""
    if step.claim is not None or not step.pending_events:
        return None
    last = step.pending_events[-1]
    if last.type != EventType.OPERATION_ESCALATED:
        return None
    return str(last.data["operation"])


def _outcome_label(outcome: Outcome) -> str:
    """The outcome's word for metrics and logs."""
    return outcome.verdict if isinstance(outcome, Answer) else outcome.code
