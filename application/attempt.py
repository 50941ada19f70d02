"""Claim, call, settle: the hot path, for a group of payments at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Final

from application.ports import PaymentStore, Provider
from domain.answer import Answer
from domain.errors import NotSent, OutcomeUnknown, ProviderError
from domain.payment import Payment
from domain.states import State
from domain.submission import ProviderName

log = logging.getLogger(__name__)

#: The answer of a payment that was handed to a person instead of a provider.
ESCALATED: Final = "escalated"


@dataclass(frozen=True, slots=True)
class Settled:
    """One attempt's end, as it was stored."""

    payment: Payment
    answer: str  #: the verdict, or the code of the error that stood in its place


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt of a worker process shares."""

    store: PaymentStore
    providers: Mapping[ProviderName, Provider]
    calls: Executor  #: carries the provider calls; its size bounds them
    clock: Callable[[], datetime]
    jitter: Callable[[], float]  #: uniform in [0, 1]
    held: set[str]  #: ids this process works on, for whoever renews the leases
    #: Set once the process shall end: calls that are not made yet are given back.
    stopping: Event = field(default_factory=Event)


def run(ids: Sequence[str], tools: Tools) -> Iterator[list[Settled]]:
    """Works on those of ``ids`` that are due, and yields them as they are stored.

    Whatever goes wrong with one payment stays with it. Raises StoreUnavailable
    where the store does; leases then run out and recovery takes over.
    """
    claims = [_next_step(payment, tools) for payment in tools.store.load_due(ids)]
    won = tools.store.claim_many(claims)
    tools.held.update(payment.id for payment in won)
    try:
        escalated = [payment for payment in won if payment.settled]
        if escalated:
            yield [Settled(payment, ESCALATED) for payment in escalated]
        for group in _called(won, tools):
            now, jitter = tools.clock(), tools.jitter
            steps = {
                payment.id: payment.settle(outcome, now=now, jitter=jitter())
                for payment, outcome in group
            }
            stored = tools.store.settle_many(list(steps.values()))
            tools.held.difference_update(steps)
            for lost in steps.keys() - {payment.id for payment in stored}:
                log.warning("lease_lost", extra={"payment": lost})
            answers = {payment.id: _named(outcome) for payment, outcome in group}
            yield [Settled(payment, answers[payment.id]) for payment in stored]
    finally:
        tools.held.difference_update(payment.id for payment in won)


def _next_step(payment: Payment, tools: Tools) -> Payment:
    """The send that is owed, written down; or the hand-over to a person."""
    now = tools.clock()
    if payment.operation.state is State.RUNNING:
        payment = payment.lease_expired(now=now)
    if payment.window_closed(now=now):
        return payment.escalate("resend_window_closed", now=now)
    try:
        provider = tools.providers[payment.submission.provider]
        return payment.sent(provider.prepare(payment), now=now)
    except Exception:  # whatever it is, the others in the group go on
        log.exception("prepare_failed", extra={"payment": payment.id})
        return payment.escalate("cannot_prepare", now=now)


def _called(
    claimed: Sequence[Payment], tools: Tools
) -> Iterator[list[tuple[Payment, Answer | ProviderError]]]:
    """Calls the providers for all at once; yields the answers as they gather."""
    calls: dict[Future[Answer | ProviderError], Payment] = {
        tools.calls.submit(_call, payment, tools): payment
        for payment in claimed
        if not payment.settled
    }
    while calls:
        done, _ = wait(calls, return_when=FIRST_COMPLETED)
        yield [(calls.pop(call), call.result()) for call in done]


def _call(payment: Payment, tools: Tools) -> Answer | ProviderError:
    """One provider call; an error that nobody foresaw leaves the outcome unknown."""
    if tools.stopping.is_set():
        return NotSent("worker_stopping")
    try:
        return tools.providers[payment.submission.provider].send(payment)
    except ProviderError as error:
        return error
    except Exception:
        log.exception("provider_adapter_failed", extra={"payment": payment.id})
        return OutcomeUnknown("adapter_failed")


def _named(outcome: Answer | ProviderError) -> str:
    """The outcome's word for metrics and logs."""
    return outcome.verdict if isinstance(outcome, Answer) else outcome.code
