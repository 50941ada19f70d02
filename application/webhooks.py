"""Stores webhooks once, and makes a status lookup of their payments due."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from application.disputes import DisputeContext, read_when_admitted, sync_dispute
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
    is_claimed,
    may_be_external,
    schedule_lookup,
    schedule_external_lookup,
)

log = get_logger(__name__)

#: Tries of a webhook that meets other writes of its payment.
_MAX_ROUNDS: Final = 5
#: The longest time for reading a dispute, unless its payment changes meanwhile. For
#: this time no other worker gets the webhook, and a dead worker's webhook waits.
_DISPUTE_TIME_LIMIT: Final = timedelta(minutes=1)

#: A webhook with its content, or with the status that ends it.
_Parsed = tuple[Webhook, ObjectUpdate | WebhookStatus]
#: A webhook whose content needs calls to the provider.
_Resolvable = tuple[Webhook, ObjectUpdate | DisputeUpdate]

#: Returns None where the webhook's type does not concern payments.
ParseWebhook = Callable[[Webhook], ObjectUpdate | DisputeUpdate | None]


@dataclass(frozen=True, slots=True)
class WebhookContext:
    """The dependencies of the handling of webhooks."""

    inbox: WebhookInbox
    view: OperatorView
    store: PaymentStore
    queue: JobQueue  #: for payments with a status lookup due
    parsers: Mapping[ProviderName, ParseWebhook]  #: each raises UnreadableWebhook
    dispute_context: DisputeContext
    #: Finds the payments of refunds without our ids.
    statements: Callable[[Account], Statement]
    clock: Callable[[], datetime]


def receive(
    webhook: Webhook,
    *,
    event_types: frozenset[str],
    inbox: WebhookInbox,
    queue: JobQueue,
) -> bool:
    """Stores a webhook durably and notifies the workers; returns whether it was new.

    A webhook of a type that is not in ``event_types`` is stored as ignored. Raises
    StoreUnavailable.
    """
    if webhook.type not in event_types:
        return inbox.add(replace(webhook, status=WebhookStatus.IGNORED))
    at = webhook.received_at
    new = inbox.add(replace(webhook, due_at=at + WAKEUP_GRACE, starts_at=at))
    if new:
        queue.notify([webhook.id])
    return new


def handle(ids: Sequence[str], context: WebhookContext) -> list[Webhook]:
    """Handles the due webhooks of ``ids``, and returns them with their results.

    A crash loses nothing: the lookup is due before the webhook is marked as handled,
    and a second request for a lookup changes nothing. Raises StoreUnavailable.
    """
    return _handle_group(context.inbox.load(ids), context)


def _handle_group(
    webhooks: Sequence[Webhook], context: WebhookContext
) -> list[Webhook]:
    """Handles webhooks together, and one by one where one of them fails."""
    try:
        return _handle_together(webhooks, context)
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("webhooks_failed", count=len(webhooks))
    if len(webhooks) > 1:
        alone = [_handle_group([one], context) for one in webhooks]
        return [done for group in alone for done in group]
    postponed = [_retry_unreadable(one, context, retry.WEBHOOK) for one in webhooks]
    context.inbox.save_results(postponed)
    return postponed


def _handle_together(
    webhooks: Sequence[Webhook], context: WebhookContext
) -> list[Webhook]:
    parsed = [(webhook, _parse(webhook, context)) for webhook in webhooks]
    updates, resolvable = list[_Parsed](), list[_Resolvable]()
    for webhook, content in parsed:
        if isinstance(content, DisputeUpdate) or (
            isinstance(content, ObjectUpdate) and _needs_payment_lookup(content)
        ):
            resolvable.append((webhook, content))
        else:
            updates.append((webhook, content))
    done = _apply_updates(updates, context) if updates else []
    return done + _resolve_all(resolvable, context) if resolvable else done


def _needs_payment_lookup(update: ObjectUpdate) -> bool:
    """Whether only the provider can name the payment of a refund."""
    return update.payment is None and update.parent_ref is not None


def _apply_updates(
    updates: Sequence[_Parsed], context: WebhookContext
) -> list[Webhook]:
    """The webhooks with their results, which are stored; the workers are notified."""
    ids = {
        content.payment
        for _, content in updates
        if isinstance(content, ObjectUpdate) and content.payment is not None
    }
    found = context.view.load(sorted(ids)) if ids else []
    payments = {payment.id: payment for payment in found}
    changed, done = list[str](), list[Webhook]()
    for webhook, content in updates:
        if isinstance(content, WebhookStatus):
            done.append(_finish(webhook, content))
            continue
        if content.payment is None:
            # An object of ours has our ids from the send on, so this one is not ours.
            done.append(_finish(webhook, WebhookStatus.UNMATCHED))
            continue
        try:
            handled = _apply_update(webhook, content, payments, context)
        except Exception:  # an error of one webhook must not stop the others
            log.exception("webhook_failed", provider=webhook.provider)
            handled = _retry_unreadable(webhook, context, retry.WEBHOOK)
        if handled is not None and handled.payment is not None:
            changed.append(handled.payment)
        done.append(handled or _retry(webhook, context, retry.WEBHOOK))
    context.queue.notify([id for id in dict.fromkeys(changed) if _is_due(payments[id])])
    context.inbox.save_results(done)
    return done


def _parse(
    webhook: Webhook, context: WebhookContext
) -> ObjectUpdate | DisputeUpdate | WebhookStatus:
    """The content of a webhook, or the status that ends it."""
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
    """The handled webhook; None where its payment is not stored yet, or is claimed.

    ``payments`` are the stored ones; a changed payment is replaced there. A webhook of
    one account never changes a payment of another one.
    """
    payment = payments.get(update.payment or "")
    if payment is None:
        return None
    # Not ``retry_write``: the first round needs no read of its own, for the
    # payments of a group are read together, and None says that work is under way.
    for _ in range(_MAX_ROUNDS):
        if payment.account != webhook.account:
            return _finish(webhook, WebhookStatus.UNMATCHED)
        operation, now = find_operation(payment, update), context.clock()
        if operation is None and not may_be_external(update):
            return None
        if is_claimed(payment, operation or payment.first_operation):
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
    resolvable: Sequence[_Resolvable], context: WebhookContext
) -> list[Webhook]:
    """The webhooks with their results, which are stored; each needs provider calls.

    They are postponed first. Otherwise the beat would send them to more workers each
    second while the provider is slow, until no worker had a free thread.
    """
    until = context.clock() + len(resolvable) * _DISPUTE_TIME_LIMIT
    context.inbox.save_results(
        [replace(webhook, due_at=until) for webhook, _ in resolvable]
    )
    done = [_resolve(webhook, update, context) for webhook, update in resolvable]
    context.inbox.save_results(done)
    return done


def _resolve(
    webhook: Webhook, update: ObjectUpdate | DisputeUpdate, context: WebhookContext
) -> Webhook:
    """The handled webhook, or the webhook with its next try."""
    try:
        if isinstance(update, ObjectUpdate):
            return _apply_refund_update(webhook, update, context)
        payment = sync_dispute(update, context.dispute_context)
    except PaymentNotFound:
        return _finish(webhook, WebhookStatus.UNMATCHED)
    except ProviderError as error:
        fields = {"provider": webhook.provider.value, "reason": error.detail}
        log.warning("webhook_object_not_read", **fields)
        return _retry_unreadable(webhook, context, retry.DISPUTE, error.retry_after)
    except Exception:  # an error of one webhook must not stop the others
        log.exception("webhook_failed", provider=webhook.provider)
        return _retry_unreadable(webhook, context, retry.DISPUTE)
    if payment is None:
        return _retry(webhook, context, retry.WEBHOOK)
    return replace(_finish(webhook, WebhookStatus.HANDLED), payment=payment.id)


def _apply_refund_update(
    webhook: Webhook, update: ObjectUpdate, context: WebhookContext
) -> Webhook:
    """The webhook of a refund without our ids, applied to its payment.

    The provider has the payment's id on the charge. Raises PaymentNotFound where the
    charge is not ours, and ProviderError.
    """
    account, parent_ref = webhook.account, update.parent_ref or ""
    payment_id = read_when_admitted(
        account,
        Call(CallKind.READS, parent_ref),
        context.dispute_context,
        lambda: context.statements(account).find_payment_id(parent_ref),
    )
    if payment_id is None:
        raise PaymentNotFound
    found = replace(update, payment=payment_id)
    payments = {one.id: one for one in context.view.load([payment_id])}
    done = _apply_update(webhook, found, payments, context)
    if done is None:
        return _retry(webhook, context, retry.WEBHOOK)
    if _is_due(payments[payment_id]):
        context.queue.notify([payment_id])
    return done


def _finish(webhook: Webhook, status: WebhookStatus) -> Webhook:
    return replace(webhook, status=status, due_at=None)


def _retry(
    webhook: Webhook,
    context: WebhookContext,
    policy: retry.RetryPolicy,
    retry_after: timedelta | None = None,
) -> Webhook:
    """The webhook with its next try, or unmatched after the last one."""
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
    """The webhook with its next try, or unreadable after the last one."""
    again = _retry(webhook, context, policy, retry_after)
    return again if again.due_at else replace(again, status=WebhookStatus.UNREADABLE)


def _is_due(payment: Payment) -> bool:
    """Whether a status lookup of the payment was just made due."""
    return any(
        one.due_at and one.lookups_since == one.due_at for one in payment.operations
    )
