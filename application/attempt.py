"""Claim, call, settle: the hot path, for a group of payments at once."""

from __future__ import annotations

import logging
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

from application.ports.admission import Gates
from application.ports.payments import PaymentStore
from application.ports.provider import Provider
from domain.account import Account
from domain.circuit_breaker import Call, CallKind
from domain.error_details import ErrorDetail
from domain.errors import NotSent, OutcomeUnknown, ProviderError
from domain.payments.answer import Answer
from domain.payments.apply_answer import settle
from domain.payments.apply_lookup import is_correction
from domain.payments.event_types import EventType
from domain.payments.external_changes import discoveries, reject_overtaken
from domain.payments.operation import Act, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.routing import onward
from domain.payments.start_attempt import hold_reached, looking, released, sent
from domain.payments.submission import ProviderName
from domain.payments.transitions import code_of, escalate, is_escalation

log = logging.getLogger(__name__)

#: The answer of a payment that was handed to a person instead of a provider.
ESCALATED: Final = "escalated"

#: A claim older than this makes no call any more: its worker was stopped meanwhile.
#: Far less than the silence after which a look may prove that nothing arrived.
_CALL_WITHIN: Final = timedelta(minutes=1)

#: Settles of one answer: requests may append to the payment meanwhile, each once.
_SETTLES: Final = 20

Outcome = Answer | ProviderError


@dataclass(frozen=True, slots=True)
class Settled:
    """One attempt's end, as it was stored."""

    payment: Payment
    operation: Operation
    answer: str  #: the verdict, or the code of the error that stood in its place
    corrected: bool = False  #: a later fact moved what was final
    escalated: bool = False  #: it became a person's
    discovered: Sequence[Kind] = ()  #: what others did, that this attempt has found
    code: str | None = None  #: what the provider said went wrong


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt of a worker process shares."""

    store: PaymentStore
    providers: Callable[[Account], Provider]  #: whose calls go to that account
    gates: Gates
    #: Carries the calls to a provider; its size bounds them. One each, so that one
    #: that hangs does not hold up the other.
    calls: Mapping[ProviderName, Executor]
    clock: Callable[[], datetime]
    jitter: Callable[[], float]  #: uniform in [0, 1]
    held: set[str]  #: ids this process works on, for whoever renews the leases
    #: Set once the process shall end: calls that are not made yet are given back.
    stopping: Event = field(default_factory=Event)


def run(
    ids: Sequence[str], tools: Tools, *, urgent: bool = True
) -> Iterator[list[Settled]]:
    """Works on those of ``ids`` that are due, and yields them as they are stored.

    ``urgent`` ones go first where an account's limit is reached. Whatever goes wrong
    with one payment stays with it. Raises StoreUnavailable where the store does; leases
    then run out and recovery takes over.
    """
    claims = [_next_step(one, tools) for one in _admitted(ids, tools, urgent)]
    won = tools.store.claim_many(claims)
    tools.held.update(payment.id for payment in won if payment.claim)
    try:
        reviewed = {claim.id: name for claim in claims if (name := _handed_over(claim))}
        reviews = [
            Settled(one, one.operation(reviewed[one.id]), ESCALATED, escalated=True)
            for one in won
            if one.id in reviewed
        ]
        if reviews:
            yield reviews
        for group in _called(won, tools):
            yield _settled(group, tools)
    finally:
        tools.held.difference_update(payment.id for payment in won)


def _admitted(ids: Sequence[str], tools: Tools, urgent: bool) -> list[Payment]:
    """The payments that are due, as far as their accounts' gates let them in.

    Those before an open gate go on to their next account, where they may. That is
    written down by the claim: who is let in nowhere stays where it is. Accounts at
    their limits are waited for together, as long as the last of them takes.
    """
    due = _by_account(tools.store.load_due(ids))
    admitted, after = list[Payment](), 0.0
    stopped = set[str]()  # accounts that no charge goes through to
    while due:
        calls = {name: _calls(payments, tools) for name, payments in due.items()}
        admissions = {
            account: tools.gates.admit(account, list(calls[account]), urgent=urgent)
            for account in due
        }
        for account, admission in admissions.items():
            if any(one.kind is CallKind.CHARGES for one in admission.stopped):
                stopped.add(account)
        onwards = list[Payment]()
        for account, admission in admissions.items():
            waiting = calls[account]
            admitted += [waiting.pop(call) for call in admission.granted]
            after = max(after, admission.after)
            behind = [waiting.pop(call) for call in admission.stopped]
            moved, left = _onward(behind, stopped, tools)
            onwards += moved
            left += waiting.values()
            if left:
                put_off = [payment.id for payment in left]
                tools.store.put_off(put_off, admission.again_in)
        due = _by_account(onwards)
    tools.stopping.wait(after)
    return admitted


def _calls(payments: Iterable[Payment], tools: Tools) -> dict[Call, Payment]:
    """The payments by the call that each begins with."""
    now = tools.clock()
    return {Call.due(released(one, now=now), now=now): one for one in payments}


def _by_account(payments: Iterable[Payment]) -> dict[str, list[Payment]]:
    found: dict[str, list[Payment]] = {}
    for payment in payments:
        found.setdefault(payment.account.id, []).append(payment)
    return found


def _onward(
    payments: Sequence[Payment], stopped: Container[str], tools: Tools
) -> tuple[list[Payment], list[Payment]]:
    """Those that go on to an account that is not ``stopped``, and those that wait."""
    moved, left = list[Payment](), list[Payment]()
    for payment in payments:
        step = onward(payment, now=tools.clock())
        while step is not None and step.account.id in stopped:
            step = onward(step, now=tools.clock())
        if step is None:
            left.append(payment)
        else:
            moved.append(step)
    return moved, left


def _next_step(payment: Payment, tools: Tools) -> Payment:
    """What is owed next, written down; or the hand-over to a person."""
    now = tools.clock()
    payment = released(payment, now=now)
    operation, hold = payment.next, payment.hold
    if hold is not None and hold.next_at is not None and hold.next_at == payment.due_at:
        payment = hold_reached(payment, now=max(now, hold.next_at))
        operation = payment.next
    if operation is None:
        return payment
    fitting = reject_overtaken(payment, now=now)
    if fitting is not payment:
        return fitting
    if operation.must_look(now=now):
        return looking(payment, operation, now=now)
    try:
        provider = tools.providers(payment.account)
        body = provider.prepare(payment, operation)
        return sent(payment, operation, body, now=now)
    except Exception:  # whatever it is, the others in the group go on
        log.exception("prepare_failed", extra={"payment": payment.id})
        return escalate(payment, operation, ReviewReason.CANNOT_PREPARE, now=now)


def _called(
    claimed: Sequence[Payment], tools: Tools
) -> Iterator[list[tuple[Payment, Outcome]]]:
    """Calls the providers for all at once; yields the answers as they gather."""
    calls: dict[Future[Outcome], Payment] = {
        tools.calls[payment.provider].submit(_call, payment, tools): payment
        for payment in claimed
        if payment.claim is not None
    }
    while calls:
        done, _ = wait(calls, return_when=FIRST_COMPLETED)
        yield [(calls.pop(call), call.result()) for call in done]


def _call(payment: Payment, tools: Tools) -> Outcome:
    """One provider call; an error that nobody foresaw leaves the outcome unknown."""
    if tools.stopping.is_set():
        return NotSent(ErrorDetail.WORKER_STOPPING)
    claim = payment.claim
    if claim is None or tools.clock() > claim.at + _CALL_WITHIN:
        return NotSent(ErrorDetail.CLAIM_TOO_OLD)
    try:
        provider = tools.providers(payment.account)
        looks = claim.act is Act.LOOK
        return provider.look(payment) if looks else provider.send(payment)
    except ProviderError as error:
        return error
    except Exception:
        log.exception("provider_adapter_failed", extra={"payment": payment.id})
        return OutcomeUnknown(ErrorDetail.ADAPTER_FAILED)


def _settled(group: Sequence[tuple[Payment, Outcome]], tools: Tools) -> list[Settled]:
    """Stores what the group came to; on top of what was appended to it meanwhile."""
    outcomes = {payment.id: outcome for payment, outcome in group}
    worked_on = {payment.id: payment.working.id for payment, _ in group}
    left, done = [payment for payment, _ in group], list[Payment]()
    corrected, escalated = set[str](), set[str]()
    discovered = dict[str, Sequence[Kind]]()
    for _ in range(_SETTLES):
        now = tools.clock()
        steps = [
            settle(one, outcomes[one.id], now=now, jitter=tools.jitter())
            for one in left
        ]
        stored = tools.store.settle_many(steps)
        done += stored
        corrected.update(one.id for one in steps if is_correction(one))
        escalated.update(one.id for one in steps if is_escalation(one))
        discovered.update((one.id, discoveries(one)) for one in steps)
        written = {payment.id for payment in stored}
        missed = [payment for payment in left if payment.id not in written]
        # Where it has not moved, the write was refused: the lease runs out, and the
        # next attempt finds out at the provider what became of it.
        tried = {payment.id: payment.version for payment in missed}
        held = tools.store.held(missed) if missed else []
        left = [one for one in held if one.version != tried[one.id]]
        if not left:
            break
    tools.held.difference_update(outcomes)
    for lost in outcomes.keys() - {payment.id for payment in done}:
        log.warning("lease_lost", extra={"payment": lost})
    _tell_gates(group, tools)
    return [
        Settled(
            payment=one,
            operation=one.operation(worked_on[one.id]),
            answer=_named(outcomes[one.id]),
            corrected=one.id in corrected,
            escalated=one.id in escalated,
            discovered=discovered[one.id],
            code=code_of(outcomes[one.id]),
        )
        for one in done
    ]


def _tell_gates(group: Sequence[tuple[Payment, Outcome]], tools: Tools) -> None:
    told: dict[str, list[tuple[Call, Outcome]]] = {}
    for payment, outcome in group:
        told.setdefault(payment.account.id, []).append((Call.made(payment), outcome))
    for account, outcomes in told.items():
        tools.gates.tell(account, outcomes)


def _handed_over(step: Payment) -> str | None:
    """The id of the operation that a step without a claim made a person's."""
    if step.claim is not None or not step.news:
        return None
    last = step.news[-1]
    if last.type != EventType.OPERATION_ESCALATED:
        return None
    return str(last.data["operation"])


def _named(outcome: Outcome) -> str:
    """The outcome's word for metrics and logs."""
    return outcome.verdict if isinstance(outcome, Answer) else outcome.code
