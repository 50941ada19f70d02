"""What providers tell us: kept once, and answered by a look, however often it comes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from application import disputes as dispute
from application.ports.operators import OperatorView
from application.ports.payments import JobQueue, PaymentStore
from application.ports.reconciliation import Statement
from application.ports.webhooks import Inbox
from domain import retry
from domain.account import Account
from domain.circuit_breaker import Call, CallKind
from domain.errors import (
    PaymentNotFound,
    ProviderError,
    StoreUnavailable,
    UnreadableWebhook,
)
from domain.payments.dispute import Hint
from domain.payments.payment import BELL_GRACE, Payment
from domain.payments.submission import ProviderName
from domain.webhooks import (
    Fate,
    Notice,
    Webhook,
    about,
    is_held,
    is_of_others,
    noticed,
    noticed_of_others,
)

log = logging.getLogger(__name__)

#: Writes of one payment that a notice may meet before it is tried again later.
_ROUNDS: Final = 5
#: What reading a dispute takes at most, but for a payment that moves on meanwhile: so
#: long nobody else is rung for it, and a dead worker's waits.
_FOLLOWING: Final = timedelta(minutes=1)

#: A webhook, and what it says; or what is to be asked for it.
_Told = tuple[Webhook, Notice | Fate]
_Asked = tuple[Webhook, Notice | Hint]

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
    #: Shows whose a refund is that has none of our ids.
    statements: Callable[[Account], Statement]
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
    notices, asked = list[_Told](), list[_Asked]()
    for one, told in loaded:
        if isinstance(told, Hint) or (isinstance(told, Notice) and _is_nameless(told)):
            asked.append((one, told))
        else:
            notices.append((one, told))
    done = _all_noticed(notices, hearing) if notices else []
    return done + _all_followed(asked, hearing) if asked else done


def _is_nameless(notice: Notice) -> bool:
    """Whether only the provider can say whose payment a refund is of."""
    return notice.payment is None and notice.of is not None


def _all_noticed(notices: Sequence[_Told], hearing: Hearing) -> list[Webhook]:
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
    if payment is None:
        return None
    for _ in range(_ROUNDS):
        if payment.account != webhook.account:
            return _ended(webhook, Fate.UNMATCHED)
        operation, now = about(payment, notice), hearing.clock()
        if operation is None and not is_of_others(notice):
            return None
        if is_held(payment, operation or payment.first):
            return None
        if operation is None:
            step = noticed_of_others(payment, notice, now=now)
        else:
            step = noticed(payment, operation, notice, now=now)
        stored = payment if step is payment else hearing.store.amend(step)
        if stored is not None:
            payments[payment.id] = stored
            return replace(_ended(webhook, Fate.HANDLED), payment=payment.id)
        [payment] = hearing.view.known([payment.id])
    return None


def _all_followed(asked: Sequence[_Asked], hearing: Hearing) -> list[Webhook]:
    """What became of each, which is stored: each costs calls to its provider.

    They are put off first: beat would have them read again each second while the
    provider is slow to show them, until no worker had a thread left.
    """
    until = hearing.clock() + len(asked) * _FOLLOWING
    hearing.inbox.mark([replace(webhook, due_at=until) for webhook, _ in asked])
    done = [_followed(webhook, told, hearing) for webhook, told in asked]
    hearing.inbox.mark(done)
    return done


def _followed(webhook: Webhook, told: Notice | Hint, hearing: Hearing) -> Webhook:
    """The webhook, done, or to be tried again: a dispute has no other way to us."""
    try:
        if isinstance(told, Notice):
            return _traced(webhook, told, hearing)
        payment = dispute.follow(told, hearing.disputes)
    except PaymentNotFound:
        return _ended(webhook, Fate.UNMATCHED)
    except ProviderError as error:
        logged = {"provider": webhook.provider.value, "why": error.detail}
        log.warning("webhook_object_not_read", extra=logged)
        return _failed(webhook, hearing, retry.DISPUTE, error.retry_after)
    except Exception:  # whatever it is, the others in the group go on
        log.exception("webhook_failed", extra={"provider": webhook.provider})
        return _failed(webhook, hearing, retry.DISPUTE)
    if payment is None:
        return _later(webhook, hearing, retry.WEBHOOK)
    return replace(_ended(webhook, Fate.HANDLED), payment=payment.id)


def _traced(webhook: Webhook, notice: Notice, hearing: Hearing) -> Webhook:
    """The webhook of a refund without our ids, whose payment the provider names.

    Raises PaymentNotFound where it is none of ours, and ProviderError.
    """
    account, of = webhook.account, notice.of or ""
    named = dispute.asked(
        account,
        Call(CallKind.READS, of),
        hearing.disputes,
        lambda: hearing.statements(account).payment_of(of),
    )
    if named is None:
        raise PaymentNotFound
    found = replace(notice, payment=named)
    payments = {one.id: one for one in hearing.view.known([named])}
    done = _handled(webhook, found, payments, hearing)
    if done is None:
        return _later(webhook, hearing, retry.WEBHOOK)
    if _is_due(payments[named]):
        hearing.queue.ring([named])
    return done


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
