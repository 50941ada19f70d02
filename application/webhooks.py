"""What providers tell us: kept once, and answered by a look, however often it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from application import disputes as dispute
from application.logs import get_logger
from application.ports.operators import OperatorView
from application.ports.payments import JobQueue, PaymentStore
from application.ports.reconciliation import Statement
from application.ports.webhooks import WebhookInbox
from domain import retry
from domain.account import Account
from domain.circuit_breaker import Call, CallKind
from domain.errors import (
    PaymentNotFound,
    ProviderError,
    StoreUnavailable,
    UnreadableWebhook,
)
from domain.payments.dispute import DisputeUpdate
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.submission import ProviderName
from domain.webhooks import (
    WebhookStatus,
    ObjectUpdate,
    Webhook,
    find_operation,
    is_held,
    may_be_external,
    schedule_lookup,
    schedule_external_lookup,
)

log = get_logger(__name__)

#: Writes of one payment that a notice may meet before it is tried again later.
_MAX_CONFLICTS: Final = 5
#: What reading a dispute takes at most, but for a payment that moves on meanwhile: so
#: long nobody else is announced to the workers it, and a dead worker's waits.
_DISPUTE_TIME_LIMIT: Final = timedelta(minutes=1)

#: A webhook, and what it says; or what is to be asked for it.
_Parsed = tuple[Webhook, ObjectUpdate | WebhookStatus]
_Resolvable = tuple[Webhook, ObjectUpdate | DisputeUpdate]

#: None: it is of a type that tells us nothing.
ParseWebhook = Callable[[Webhook], ObjectUpdate | DisputeUpdate | None]


@dataclass(frozen=True, slots=True)
class WebhookContext:
    """What the handling of webhooks shares."""

    inbox: WebhookInbox
    view: OperatorView
    store: PaymentStore
    queue: JobQueue  #: of the payments that a look is due on
    parsers: Mapping[ProviderName, ParseWebhook]  #: each raises UnreadableWebhook
    dispute_context: dispute.DisputeContext
    #: Shows whose a refund is that has none of our ids.
    statements: Callable[[Account], Statement]
    clock: Callable[[], datetime]


def receive(
    webhook: Webhook,
    *,
    event_types: frozenset[str],
    inbox: WebhookInbox,
    queue: JobQueue,
) -> bool:
    """Keeps a webhook and rings for it; whether it was new.

    One of a type that is not ``known`` is kept, and that is all. What it returns for
    is durable. Raises StoreUnavailable.
    """
    if webhook.type not in event_types:
        return inbox.add(replace(webhook, status=WebhookStatus.IGNORED))
    at = webhook.received_at
    new = inbox.add(replace(webhook, due_at=at + WAKEUP_GRACE, starts_at=at))
    if new:
        queue.notify([webhook.id])
    return new


def handle(ids: Sequence[str], context: WebhookContext) -> list[Webhook]:
    """Handles those of ``ids`` that are due, and returns what became of each.

    Nothing is lost or done twice where it stops in the middle: a look is due before
    the webhook is marked, and asking for one again changes nothing. Raises
    StoreUnavailable.
    """
    return _handle_group(context.inbox.load(ids), context)


def _handle_group(
    webhooks: Sequence[Webhook], context: WebhookContext
) -> list[Webhook]:
    """Handles webhooks together; one by one where that fails, so that none of them
    holds up the others."""
    try:
        return _handle_together(webhooks, context)
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("webhooks_failed", count=len(webhooks))
    if len(webhooks) > 1:
        alone = [_handle_group([one], context) for one in webhooks]
        return [done for group in alone for done in group]
    put_off = [_retry_unreadable(one, context, retry.WEBHOOK) for one in webhooks]
    context.inbox.save_results(put_off)
    return put_off


def _handle_together(
    webhooks: Sequence[Webhook], context: WebhookContext
) -> list[Webhook]:
    loaded = [(one, _parse(one, context)) for one in webhooks]
    notices, asked = list[_Parsed](), list[_Resolvable]()
    for one, told in loaded:
        if isinstance(told, DisputeUpdate) or (
            isinstance(told, ObjectUpdate) and _needs_payment_lookup(told)
        ):
            asked.append((one, told))
        else:
            notices.append((one, told))
    done = _apply_updates(notices, context) if notices else []
    return done + _resolve_all(asked, context) if asked else done


def _needs_payment_lookup(update: ObjectUpdate) -> bool:
    """Whether only the provider can say whose payment a refund is of."""
    return update.payment is None and update.parent_ref is not None


def _apply_updates(
    updates: Sequence[_Parsed], context: WebhookContext
) -> list[Webhook]:
    """What became of each, which is stored; looks are announced to the workers."""
    read = [told for _, told in updates if isinstance(told, ObjectUpdate)]
    named = {told.payment for told in read if told.payment is not None}
    found = context.view.load(sorted(named)) if named else []
    payments = {payment.id: payment for payment in found}
    rung, done = list[str](), list[Webhook]()
    for webhook, notice in updates:
        if isinstance(notice, WebhookStatus):
            done.append(_finish(webhook, notice))
            continue
        if notice.payment is None:
            # Our ids are on an object from the send on, so this one is never ours.
            done.append(_finish(webhook, WebhookStatus.UNMATCHED))
            continue
        try:
            handled = _apply_update(webhook, notice, payments, context)
        except Exception:  # whatever it is, the others in the group go on
            log.exception("webhook_failed", provider=webhook.provider)
            handled = _retry_unreadable(webhook, context, retry.WEBHOOK)
        if handled is not None and handled.payment is not None:
            rung.append(handled.payment)
        done.append(handled or _retry(webhook, context, retry.WEBHOOK))
    context.queue.notify([one for one in dict.fromkeys(rung) if _is_due(payments[one])])
    context.inbox.save_results(done)
    return done


def _parse(
    webhook: Webhook, context: WebhookContext
) -> ObjectUpdate | DisputeUpdate | WebhookStatus:
    """What it says, or why that is nothing."""
    try:
        return context.parsers[webhook.provider](webhook) or WebhookStatus.IGNORED
    except UnreadableWebhook:
        log.error("webhook_unreadable", provider=webhook.provider.value)
        return WebhookStatus.UNREADABLE


def _apply_update(
    webhook: Webhook,
    update: ObjectUpdate,
    payments: dict[str, Payment],
    context: WebhookContext,
) -> Webhook | None:
    """The webhook, done; None where its payment is not there, or is being worked on.

    ``payments`` are as they were read, and then as they were written. What one account
    tells never touches a payment of another: it has gone on from there, or was never
    there.
    """
    payment = payments.get(update.payment or "")
    if payment is None:
        return None
    # Not ``retry_on_conflict``: the first round needs no read of its own, for the
    # payments of a group are read together, and None says that work is under way.
    for _ in range(_MAX_CONFLICTS):
        if payment.account != webhook.account:
            return _finish(webhook, WebhookStatus.UNMATCHED)
        operation, now = find_operation(payment, update), context.clock()
        if operation is None and not may_be_external(update):
            return None
        if is_held(payment, operation or payment.first_operation):
            return None
        if operation is None:
            step = schedule_external_lookup(payment, update, now=now)
        else:
            step = schedule_lookup(payment, operation, update, now=now)
        stored = payment if step is payment else context.store.amend(step)
        if stored is not None:
            payments[payment.id] = stored
            return replace(_finish(webhook, WebhookStatus.HANDLED), payment=payment.id)
        [payment] = context.view.load([payment.id])
    return None


def _resolve_all(
    asked: Sequence[_Resolvable], context: WebhookContext
) -> list[Webhook]:
    """What became of each, which is stored: each costs calls to its provider.

    They are put off first: beat would have them read again each second while the
    provider is slow to show them, until no worker had a thread left.
    """
    until = context.clock() + len(asked) * _DISPUTE_TIME_LIMIT
    context.inbox.save_results([replace(webhook, due_at=until) for webhook, _ in asked])
    done = [_resolve(webhook, told, context) for webhook, told in asked]
    context.inbox.save_results(done)
    return done


def _resolve(
    webhook: Webhook, told: ObjectUpdate | DisputeUpdate, context: WebhookContext
) -> Webhook:
    """The webhook, done, or to be tried again: a dispute has no other way to us."""
    try:
        if isinstance(told, ObjectUpdate):
            return _find_refund_payment(webhook, told, context)
        payment = dispute.sync_dispute(told, context.dispute_context)
    except PaymentNotFound:
        return _finish(webhook, WebhookStatus.UNMATCHED)
    except ProviderError as error:
        logged = {"provider": webhook.provider.value, "reason": error.detail}
        log.warning("webhook_object_not_read", **logged)
        return _retry_unreadable(webhook, context, retry.DISPUTE, error.retry_after)
    except Exception:  # whatever it is, the others in the group go on
        log.exception("webhook_failed", provider=webhook.provider)
        return _retry_unreadable(webhook, context, retry.DISPUTE)
    if payment is None:
        return _retry(webhook, context, retry.WEBHOOK)
    return replace(_finish(webhook, WebhookStatus.HANDLED), payment=payment.id)


def _find_refund_payment(
    webhook: Webhook, update: ObjectUpdate, context: WebhookContext
) -> Webhook:
    """The webhook of a refund without our ids, whose payment the provider names.

    Raises PaymentNotFound where it is none of ours, and ProviderError.
    """
    account, of = webhook.account, update.parent_ref or ""
    named = dispute.read_when_admitted(
        account,
        Call(CallKind.READS, of),
        context.dispute_context,
        lambda: context.statements(account).find_payment_id(of),
    )
    if named is None:
        raise PaymentNotFound
    found = replace(update, payment=named)
    payments = {one.id: one for one in context.view.load([named])}
    done = _apply_update(webhook, found, payments, context)
    if done is None:
        return _retry(webhook, context, retry.WEBHOOK)
    if _is_due(payments[named]):
        context.queue.notify([named])
    return done


def _finish(webhook: Webhook, status: WebhookStatus) -> Webhook:
    return replace(webhook, status=status, due_at=None)


def _retry(
    webhook: Webhook,
    context: WebhookContext,
    policy: retry.RetryPolicy,
    retry_after: timedelta | None = None,
) -> Webhook:
    """Tried again with growing waits, or given up."""
    due_at = policy.next_at(
        tries=webhook.tries + 1,
        since=webhook.starts_at or webhook.received_at,
        now=context.clock(),
        jitter=1.0,
        retry_after=retry_after,
    )
    if due_at is None:
        return _finish(webhook, WebhookStatus.UNMATCHED)
    return replace(webhook, due_at=due_at, tries=webhook.tries + 1)


def _retry_unreadable(
    webhook: Webhook,
    context: WebhookContext,
    policy: retry.RetryPolicy,
    retry_after: timedelta | None = None,
) -> Webhook:
    """Tried again with growing waits, or given up as one that cannot be read."""
    again = _retry(webhook, context, policy, retry_after)
    return again if again.due_at else replace(again, status=WebhookStatus.UNREADABLE)


def _is_due(payment: Payment) -> bool:
    """Whether a look was just made due, rather than nothing or something for later."""
    return any(
        one.due_at and one.lookups_since == one.due_at for one in payment.operations
    )
