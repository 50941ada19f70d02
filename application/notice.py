"""What providers tell us: kept once, and answered by a look, however often it comes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from application import dispute
from application.inbox import Inbox
from application.operator_ports import OperatorView
from application.ports import JobQueue, PaymentStore
from domain import retry
from domain.dispute import Hint
from domain.errors import (
    PaymentNotFound,
    ProviderError,
    StoreUnavailable,
    UnreadableWebhook,
)
from domain.notice import Fate, Notice, Webhook, about, is_held, noticed
from domain.payment import BELL_GRACE, Payment
from domain.submission import ProviderName

log = logging.getLogger(__name__)

#: Writes of one payment that a notice may meet before it is tried again later.
_ROUNDS: Final = 5
#: What reading a dispute takes at most, but for a payment that moves on meanwhile: so
#: long nobody else is rung for it, and a dead worker's waits.
_FOLLOWING: Final = timedelta(minutes=1)

#: None: it is of a type that tells us nothing.
Read = Callable[[Webhook], Notice | Hint | None]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the handling of webhooks shares."""

    inbox: Inbox
    view: OperatorView
    store: PaymentStore
    queue: JobQueue  #: of the payments that a look is due on
    readers: Mapping[ProviderName, Read]  #: each raises UnreadableWebhook
    disputes: dispute.Desk
    clock: Callable[[], datetime]


def receive(
    webhook: Webhook, *, known: frozenset[str], inbox: Inbox, queue: JobQueue
) -> bool:
    """Keeps a webhook and rings for it; whether it was new.

    One of a type that is not ``known`` is kept, and that is all. What it returns for
    is durable. Raises StoreUnavailable.
    """
    if webhook.type not in known:
        return inbox.keep(replace(webhook, fate=Fate.IGNORED))
    at = webhook.received_at
    new = inbox.keep(replace(webhook, due_at=at + BELL_GRACE, owed_from=at))
    if new:
        queue.ring([webhook.id])
    return new


def handle(ids: Sequence[str], hearing: Hearing) -> list[Webhook]:
    """Handles those of ``ids`` that are due, and returns what became of each.

    Nothing is lost or done twice where it stops in the middle: a look is due before
    the webhook is marked, and asking for one again changes nothing. Raises
    StoreUnavailable.
    """
    return _handle_group(hearing.inbox.load(ids), hearing)


def _handle_group(webhooks: Sequence[Webhook], hearing: Hearing) -> list[Webhook]:
    """Handles webhooks together; one by one where that fails, so that none of them
    holds up the others."""
    try:
        return _handle_together(webhooks, hearing)
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("webhooks_failed", extra={"count": len(webhooks)})
    if len(webhooks) > 1:
        alone = [_handle_group([one], hearing) for one in webhooks]
        return [done for group in alone for done in group]
    put_off = [_failed(one, hearing, retry.WEBHOOK) for one in webhooks]
    hearing.inbox.mark(put_off)
    return put_off


def _handle_together(webhooks: Sequence[Webhook], hearing: Hearing) -> list[Webhook]:
    loaded = [(one, _read(one, hearing)) for one in webhooks]
    notices = [(one, told) for one, told in loaded if not isinstance(told, Hint)]
    hints = [(one, told) for one, told in loaded if isinstance(told, Hint)]
    done = _all_noticed(notices, hearing) if notices else []
    return done + _all_followed(hints, hearing) if hints else done


def _all_noticed(
    notices: Sequence[tuple[Webhook, Notice | Fate]], hearing: Hearing
) -> list[Webhook]:
    """What became of each, which is stored; looks are rung for."""
    read = [told for _, told in notices if isinstance(told, Notice)]
    named = {told.payment for told in read if told.payment is not None}
    found = hearing.view.known(sorted(named)) if named else []
    payments = {payment.id: payment for payment in found}
    rung, done = list[str](), list[Webhook]()
    for webhook, notice in notices:
        if isinstance(notice, Fate):
            done.append(_ended(webhook, notice))
            continue
        if notice.payment is None:
            # Our ids are on an object from the send on, so this one is never ours.
            done.append(_ended(webhook, Fate.UNMATCHED))
            continue
        try:
            handled = _handled(webhook, notice, payments, hearing)
        except Exception:  # whatever it is, the others in the group go on
            log.exception("webhook_failed", extra={"provider": webhook.provider})
            handled = _failed(webhook, hearing, retry.WEBHOOK)
        if handled is not None and handled.payment is not None:
            rung.append(handled.payment)
        done.append(handled or _later(webhook, hearing, retry.WEBHOOK))
    hearing.queue.ring([one for one in dict.fromkeys(rung) if _is_due(payments[one])])
    hearing.inbox.mark(done)
    return done


def _read(webhook: Webhook, hearing: Hearing) -> Notice | Hint | Fate:
    """What it says, or why that is nothing."""
    try:
        return hearing.readers[webhook.provider](webhook) or Fate.IGNORED
    except UnreadableWebhook:
        log.error("webhook_unreadable", extra={"provider": webhook.provider.value})
        return Fate.UNREADABLE


def _handled(
    webhook: Webhook,
    notice: Notice,
    payments: dict[str, Payment],
    hearing: Hearing,
) -> Webhook | None:
    """The webhook, done; None where its payment is not there, or is being worked on.

    ``payments`` are as they were read, and then as they were written. What one account
    tells never touches a payment of another: it has gone on from there, or was never
    there.
    """
    payment = payments.get(notice.payment or "")
    operation = about(payment, notice) if payment is not None else None
    if payment is None or operation is None:
        return None
    for _ in range(_ROUNDS):
        if payment.account != webhook.account:
            return _ended(webhook, Fate.UNMATCHED)
        if is_held(payment, operation):
            return None
        step = noticed(payment, operation, notice, now=hearing.clock())
        stored = payment if step is payment else hearing.store.amend(step)
        if stored is not None:
            payments[payment.id] = stored
            return replace(_ended(webhook, Fate.HANDLED), payment=payment.id)
        [payment] = hearing.view.known([payment.id])
        operation = payment.operation(operation.id)
    return None


def _all_followed(
    hints: Sequence[tuple[Webhook, Hint]], hearing: Hearing
) -> list[Webhook]:
    """What became of each, which is stored.

    They are put off first: beat would have them read again each second while the
    provider is slow to show them, until no worker had a thread left.
    """
    until = hearing.clock() + len(hints) * _FOLLOWING
    hearing.inbox.mark([replace(webhook, due_at=until) for webhook, _ in hints])
    done = [_followed(webhook, hint, hearing) for webhook, hint in hints]
    hearing.inbox.mark(done)
    return done


def _followed(webhook: Webhook, hint: Hint, hearing: Hearing) -> Webhook:
    """The webhook, done, or to be tried again: a dispute has no other way to us."""
    try:
        payment = dispute.follow(hint, hearing.disputes)
    except PaymentNotFound:
        return _ended(webhook, Fate.UNMATCHED)
    except ProviderError as error:
        told = {"provider": webhook.provider.value, "why": error.detail}
        log.warning("dispute_not_read", extra=told)
        return _failed(webhook, hearing, retry.DISPUTE, error.retry_after)
    except Exception:  # whatever it is, the others in the group go on
        log.exception("webhook_failed", extra={"provider": webhook.provider})
        return _failed(webhook, hearing, retry.DISPUTE)
    if payment is None:
        return _later(webhook, hearing, retry.WEBHOOK)
    return replace(_ended(webhook, Fate.HANDLED), payment=payment.id)


def _ended(webhook: Webhook, fate: Fate) -> Webhook:
    return replace(webhook, fate=fate, due_at=None)


def _later(
    webhook: Webhook,
    hearing: Hearing,
    policy: retry.RetryPolicy,
    retry_after: timedelta | None = None,
) -> Webhook:
    """Tried again with growing waits, or given up."""
    due_at = policy.next_at(
        tries=webhook.tries + 1,
        since=webhook.owed_from or webhook.received_at,
        now=hearing.clock(),
        jitter=1.0,
        retry_after=retry_after,
    )
    if due_at is None:
        return _ended(webhook, Fate.UNMATCHED)
    return replace(webhook, due_at=due_at, tries=webhook.tries + 1)


def _failed(
    webhook: Webhook,
    hearing: Hearing,
    policy: retry.RetryPolicy,
    retry_after: timedelta | None = None,
) -> Webhook:
    """Tried again with growing waits, or given up as one that cannot be read."""
    again = _later(webhook, hearing, policy, retry_after)
    return again if again.due_at else replace(again, fate=Fate.UNREADABLE)


def _is_due(payment: Payment) -> bool:
    """Whether a look was just made due, rather than nothing or something for later."""
    return any(
        one.due_at and one.look_since == one.due_at for one in payment.operations
    )
