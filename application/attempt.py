"""Carries out due operations: claim, call, settle, for a group of payments at once.

This is the hot path.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Event
from time import sleep
from typing import Final

from application.logs import get_logger
from application.ports.admission import AdmissionControl
from application.ports.payments import JobQueue, PaymentStore
from application.ports.provider import Provider
from domain.account import Account
from domain.circuit_breaker import Call, CallKind
from domain.error_details import ErrorDetail
from domain.errors import NotSent, OutcomeUnknown, ProviderError
from domain.payments.answer import Answer
from domain.payments.settle import settle
from domain.payments.event_types import EventType
from domain.payments.external_changes import find_discoveries, reject_overtaken
from domain.payments.operation import ClaimAction, Kind, Operation
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.routing import reroute_around_outage
from domain.payments.start_attempt import (
    advance_hold,
    start_lookup,
    expire_claim,
    record_send,
)
from domain.payments.submission import ProviderName
from domain.payments.apply_answer import (
    escalate,
    find_error_code,
    is_correction,
    is_escalation,
)

log = get_logger(__name__)

#: The ``answer`` of an attempt that ended in manual review without a call.
ESCALATED: Final = "escalated"

#: An older claim makes no call: its worker was suspended meanwhile. This is far less
#: than ABSENCE_PROOF_DELAY, after which a lookup may prove that nothing arrived.
_MAX_CLAIM_AGE: Final = timedelta(minutes=1)

#: Seconds in which further answers of a group are stored together with its first. It is
#: much shorter than a call, and a payment without a group never waits.
_SETTLE_PACE: Final = 0.01

#: Tries to store one answer: each may meet a request that was appended meanwhile.
_MAX_SETTLE_TRIES: Final = 20

Outcome = Answer | ProviderError


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The stored result of one attempt."""

    payment: Payment
    operation: Operation
    answer: str  #: the verdict, or the error's code, or ESCALATED
    is_correction: bool = False  #: it changed a terminal state
    is_escalation: bool = False  #: it ended in manual review
    discovered: Sequence[Kind] = ()  #: external operations that it found
    code: str | None = None  #: the provider's error code


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """The dependencies of the attempts of a worker process."""

    store: PaymentStore
    queue: JobQueue  #: for the next operation of a settled payment
    providers: Callable[[Account], Provider]  #: the adapter of an account
    admission: AdmissionControl
    #: The threads for the calls to each provider; their number bounds the calls. A
    #: provider that hangs does not delay the other ones.
    executors: Mapping[ProviderName, Executor]
    clock: Callable[[], datetime]
    jitter: Callable[[], float]  #: uniform in [0, 1]
    leased_ids: set[str]  #: the payments whose leases this process renews
    #: Set before the process ends: calls that are not made yet are given back.
    stopping: Event = field(default_factory=Event)


def run(
    ids: Sequence[str], context: AttemptContext, *, urgent: bool = True
) -> Iterator[list[AttemptResult]]:
    """Carries out the due operations of ``ids``, and yields the results as stored.

    ``urgent`` payments go first where an account's limit is reached. An error of one
    payment does not affect the others. Raises StoreUnavailable; the leases then expire
    and recovery takes over.
    """
    claims = [_next_step(one, context) for one in _admit(ids, context, urgent)]
    won = context.store.claim_many(claims)
    context.leased_ids.update(payment.id for payment in won if payment.claim)
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
        context.leased_ids.difference_update(payment.id for payment in won)


def _admit(ids: Sequence[str], context: AttemptContext, urgent: bool) -> list[Payment]:
    """The due payments that their accounts' breakers and rate limits admit.

    A payment that an open breaker stops is rerouted to its next account, if it may be.
    The claim stores the rerouting; a payment that no account admits stays unchanged.
    The waits for several accounts run at the same time.
    """
    due = _group_by_account(context.store.load_due(ids))
    admitted, delay = list[Payment](), 0.0
    stopped = set[str]()  # accounts whose charges are stopped
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
        rerouted = list[Payment]()
        for account, admission in admissions.items():
            waiting = calls[account]
            admitted += [waiting.pop(call) for call in admission.granted]
            delay = max(delay, admission.delay)
            blocked = [waiting.pop(call) for call in admission.blocked]
            moved, left = _reroute_blocked(blocked, stopped, context)
            rerouted += moved
            left += waiting.values()
            if left:
                postponed = [payment.id for payment in left]
                context.store.postpone(postponed, admission.retry_in)
        due = _group_by_account(rerouted)
    context.stopping.wait(delay)
    return admitted


def _payments_by_call(
    payments: Iterable[Payment], context: AttemptContext
) -> dict[Call, Payment]:
    """The payments by their next call."""
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
    payments: Sequence[Payment], stopped: Container[str], context: AttemptContext
) -> tuple[list[Payment], list[Payment]]:
    """The payments rerouted to an account that is not ``stopped``, and the others."""
    moved, left = list[Payment](), list[Payment]()
    for payment in payments:
        step = reroute_around_outage(payment, now=context.clock())
        while step is not None and step.account.id in stopped:
            step = reroute_around_outage(step, now=context.clock())
        if step is None:
            left.append(payment)
        else:
            moved.append(step)
    return moved, left


def _next_step(payment: Payment, context: AttemptContext) -> Payment:
    """The payment with its next call recorded, or with a step that needs no call."""
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
    except Exception:  # an error of one payment must not stop the others
        log.exception("prepare_failed", payment=payment.id)
        return escalate(payment, operation, ReviewReason.CANNOT_PREPARE, now=now)


def _call_providers(
    claimed: Sequence[Payment], context: AttemptContext
) -> Iterator[list[tuple[Payment, Outcome]]]:
    """Calls the providers for all payments at once; yields outcomes as they come."""
    calls: dict[Future[Outcome], Payment] = {
        context.executors[payment.provider].submit(
            _call_provider, payment, context
        ): payment
        for payment in claimed
        if payment.claim is not None
    }
    # ``wait`` of the standard library locks every open call for each one that ends.
    ended = SimpleQueue[Future[Outcome]]()
    for call in calls:
        call.add_done_callback(ended.put)
    while calls:
        done = [ended.get()]
        if ended.qsize() < len(calls) - 1:
            sleep(_SETTLE_PACE)
        while not ended.empty():
            done.append(ended.get())
        yield [(calls.pop(call), call.result()) for call in done]


def _call_provider(payment: Payment, context: AttemptContext) -> Outcome:
    """The outcome of one provider call; unknown after an unexpected error."""
    if context.stopping.is_set():
        return NotSent(ErrorDetail.WORKER_STOPPING)
    claim = payment.claim
    if claim is None or context.clock() > claim.at + _MAX_CLAIM_AGE:
        return NotSent(ErrorDetail.CLAIM_TOO_OLD)
    try:
        provider = context.providers(payment.account)
        is_lookup = claim.action is ClaimAction.LOOKUP
        return provider.look_up(payment) if is_lookup else provider.send(payment)
    except ProviderError as error:
        return error
    except Exception:
        log.exception("provider_adapter_failed", payment=payment.id)
        return OutcomeUnknown(ErrorDetail.ADAPTER_FAILED)


def _settle_group(
    group: Sequence[tuple[Payment, Outcome]], context: AttemptContext
) -> list[AttemptResult]:
    """Stores the outcomes of a group, after requests that were appended meanwhile."""
    outcomes = {payment.id: outcome for payment, outcome in group}
    operations = {payment.id: payment.claimed_operation.id for payment, _ in group}
    left, done = [payment for payment, _ in group], list[Payment]()
    corrected, escalated = set[str](), set[str]()
    discovered = dict[str, Sequence[Kind]]()
    # Not ``retry_write``: each round is one write for all that are left.
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
        # A payment that has not changed was refused by the store. Its lease expires,
        # and the next attempt finds the outcome at the provider.
        versions = {payment.id: payment.version for payment in missed}
        leased = context.store.load_leased(missed) if missed else []
        left = [one for one in leased if one.version != versions[one.id]]
        if not left:
            break
    context.leased_ids.difference_update(outcomes)
    if owed := [one.id for one in done if _is_new_send_due(one, now)]:
        context.queue.notify(owed)
    for lost in outcomes.keys() - {payment.id for payment in done}:
        log.warning("lease_lost", payment=lost)
    _record_outcomes(group, context)
    return [
        AttemptResult(
            payment=one,
            operation=one.get_operation(operations[one.id]),
            answer=_outcome_label(outcomes[one.id]),
            is_correction=one.id in corrected,
            is_escalation=one.id in escalated,
            discovered=discovered[one.id],
            code=find_error_code(outcomes[one.id]),
        )
        for one in done
    ]


def _is_new_send_due(payment: Payment, now: datetime) -> bool:
    """Whether the payment's next step is a new send, which nothing has to wait for.

    It is that of another operation, of another account, or after the payer's approval.
    Resends and lookups wait for their time, and beat finds them.
    """
    operation = payment.next_operation
    if operation is None or operation.due_at is None or operation.send is not None:
        return False
    claimable = operation.due_at <= now + WAKEUP_GRACE
    return claimable and not operation.needs_lookup(now=now)


def _record_outcomes(
    group: Sequence[tuple[Payment, Outcome]], context: AttemptContext
) -> None:
    by_account: dict[str, list[tuple[Call, Outcome]]] = {}
    for payment, outcome in group:
        by_account.setdefault(payment.account.id, []).append(
            (Call.for_claim(payment), outcome)
        )
    for account, outcomes in by_account.items():
        context.admission.record(account, outcomes)


def _escalated_operation(step: Payment) -> str | None:
    """The id of the operation that a step without a claim escalated, if any."""
    if step.claim is not None or not step.pending_events:
        return None
    last = step.pending_events[-1]
    if last.type != EventType.OPERATION_ESCALATED:
        return None
    return str(last.data["operation"])


def _outcome_label(outcome: Outcome) -> str:
    """The outcome's label in metrics and logs."""
    return outcome.verdict if isinstance(outcome, Answer) else outcome.code
