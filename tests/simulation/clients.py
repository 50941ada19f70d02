"""Clients that repeat requests without an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from application.accept import Accepted, NewPayment, accept_payment, accept_request
from domain.errors import (
    Conflict,
    IdempotencyMismatch,
    PaymentNotFound,
    ReferenceInProgress,
    StoreUnavailable,
)
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.operation import Origin
from domain.payments.payment import Payment
from domain.payments.submission import (
    CaptureMethod,
    DuplicatePolicy,
    ProviderName,
    Submission,
)
from tests.simulation.ports import WatchedStore
from tests.simulation.scheduler import Actor, Process
from tests.simulation.world import World
from tests.suites.samples import SHOP

FollowUp = Callable[[Payment, Origin], Payment]

#: The amount of every payment.
PRICE: Final = Money(100, "USD")

#: Attempts of a client at one request.
_ATTEMPTS: Final = 3
_REFUSALS: Final = (
    Conflict,
    IdempotencyMismatch,
    PaymentNotFound,
    ReferenceInProgress,
)


def submission(
    provider: ProviderName | None,
    *,
    manual: bool,
    multicapture: bool = False,
    reference: str | None = None,
) -> Submission:
    """Returns a payment of 1.00, with ``several`` for several captures."""
    return Submission(
        amount=PRICE,
        provider=provider,
        capture=CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC,
        payment_method="pm_card",
        multicapture=multicapture,
        reference=reference,
        duplicate_policy=DuplicatePolicy.PAID if reference else DuplicatePolicy.NONE,
    )


def capture(world: World, amount: int | None, *, final: bool) -> FollowUp:
    """Returns a request for a capture of ``amount``, or of all if it is None."""
    return _follow_up(world, follow_ups.capture, amount=amount, final=final)


def refund(world: World, amount: int | None) -> FollowUp:
    """Returns a request for a refund of ``amount``, or of all if it is None."""
    return _follow_up(world, follow_ups.refund, amount=amount, target=None)


def void(world: World) -> FollowUp:
    """Returns a request for a void."""
    return _follow_up(world, follow_ups.void)


def _follow_up(
    world: World, step: Callable[..., Payment], **wanted: object
) -> FollowUp:
    return lambda payment, origin: step(
        payment, **wanted, id=world.new_id("op"), origin=origin, now=world.now
    )


def submit(world: World, key: str, asked: Submission, fingerprint: str) -> Actor:
    """Starts a client that submits a payment until it gets an answer."""
    return _client(
        world,
        Origin(key, fingerprint),
        lambda store, origin: accept_payment(
            NewPayment(asked, origin),
            scope=SHOP,
            routes=world.routes,
            draw=world.chance.fraction,
            store=store,
            queue=world.wakeups,
            clock=world.clock,
            new_id=world.new_id,
        ),
    )


def follow_up(
    world: World, key: str, payment_id: str, request: FollowUp, fingerprint: str
) -> Actor:
    """Starts a client that requests a follow-up until it gets an answer."""
    return _client(
        world,
        Origin(key, fingerprint),
        lambda store, origin: accept_request(
            payment_id,
            lambda payment: request(payment, origin),
            origin,
            scope=SHOP,
            store=store,
            queue=world.wakeups,
        ),
    )


def _client(
    world: World,
    origin: Origin,
    use_case: Callable[[WatchedStore, Origin], Accepted],
) -> Actor:
    key, log = origin.idempotency_key, world.scheduler.log
    process = Process(f"client {key}")
    store = world.open_store(process)

    def send() -> None:
        for _ in range(_ATTEMPTS):
            try:
                accepted = use_case(store, origin)
            except StoreUnavailable:
                continue
            except _REFUSALS as error:
                log.append((process.name, f"gets {error.code}"))
                return
            operation = accepted.operation.id
            world.oracle.record_promise(key, origin.fingerprint, operation)
            log.append((process.name, f"gets {operation} accepted"))
            return

    return world.start(process, send)
