"""Received webhooks on MongoDB: one document each, with a sealed body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from application.logs import get_logger
from domain.errors import StoreUnavailable
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.submission import Mode
from domain.webhooks import Webhook, WebhookStatus
from persistence.codec import Document, decode_account_fields, encode_account_fields
from persistence.document_faults import (
    DocumentFault,
    decode_readable,
    find_postponed,
    report_faults,
    update_independently,
    write_independently,
)
from persistence.encryption import Vault
from persistence.mongo import translating_errors

log = get_logger(__name__)


class MongoWebhooks:
    """The WebhookInbox of one mode; ``clock`` decides which webhooks are due."""

    def __init__(
        self,
        database: Database[Document],
        vault: Vault,
        mode: Mode,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._webhooks = database.webhooks
        self._vault = vault
        self._mode = mode.value
        self._clock = clock

    def add(self, webhook: Webhook) -> bool:
        owner = {
            "_id": webhook.id,
            "mode": self._mode,
            **encode_account_fields(webhook.account),
        }
        document = {
            **owner,
            "event": webhook.event,
            "type": webhook.type,
            "body": self._vault.seal(webhook.body, *seal_binding(owner)),
            "received_at": webhook.received_at,
            "starts_at": webhook.starts_at,
            **_encode_progress(webhook),
        }
        given = {name: value for name, value in document.items() if value is not None}
        with translating_errors():
            try:
                self._webhooks.insert_one(given)
            except DuplicateKeyError:
                # The other insert may not be committed yet, and so not durable.
                if self._webhooks.find_one({"_id": webhook.id}, {"_id": 1}) is None:
                    raise StoreUnavailable from None
                return False
        return True

    def load(self, ids: Sequence[str]) -> list[Webhook]:
        """Postpones and reports webhooks that cannot be read."""
        soon = self._clock() + WAKEUP_GRACE
        wanted = {"_id": {"$in": list(ids)}, "mode": self._mode}
        with translating_errors():
            found = list(self._webhooks.find({**wanted, "due_at": {"$lte": soon}}))
        return decode_readable(found, self._open_sealed, self._webhooks, postpones=True)

    def _open_sealed(self, document: Document) -> Webhook:
        return _decode(
            document, self._vault.open(document.get("body"), *seal_binding(document))
        )

    def find_due_ids(self, limit: int) -> list[str]:
        due: Document = {"mode": self._mode, "due_at": {"$lte": self._clock()}}
        with translating_errors():
            postponed = find_postponed(self._webhooks)
            if postponed:
                due["_id"] = {"$nin": postponed}
            found = self._webhooks.find(due, {"_id": 1}, sort=[("due_at", ASCENDING)])
            return [document["_id"] for document in found.limit(limit)]

    def save_results(self, webhooks: Sequence[Webhook]) -> None:
        updates = []
        for webhook in webhooks:
            fields = _encode_progress(webhook)
            updates.append(
                UpdateOne(
                    {"_id": webhook.id, "status": WebhookStatus.WAITING.value},
                    {
                        "$set": {k: v for k, v in fields.items() if v is not None},
                        "$unset": {k: "" for k, v in fields.items() if v is None},
                    },
                )
            )
        if updates:
            with translating_errors():
                written = write_independently(self._webhooks, updates)
            refused = {
                webhooks[place].id: code for place, code in written.refused.items()
            }
            report_faults(
                self._webhooks, DocumentFault.REFUSED, refused, postpones=True
            )

    def find(
        self, *, status: WebhookStatus | None, since: datetime | None, limit: int
    ) -> list[Webhook]:
        """Leaves out the bodies."""
        statuses = [status] if status is not None else list(WebhookStatus)
        wanted: Document = {"mode": self._mode, "status": {"$in": sorted(statuses)}}
        if since is not None:
            wanted["received_at"] = {"$gte": since}
        with translating_errors():
            found = self._webhooks.find(wanted, {"body": 0})
            newest = list(found.sort("received_at", DESCENDING).limit(limit))
        return decode_readable(newest, _decode_unsealed, self._webhooks)

    def reprocess(self, ids: Sequence[str], *, now: datetime) -> int:
        fields = {
            "status": WebhookStatus.WAITING.value,
            "due_at": now,
            "starts_at": now,
            "tries": 0,
        }
        with translating_errors():
            return update_independently(
                self._webhooks,
                ids,
                {"mode": self._mode},
                {"$set": fields, "$push": {"reprocessed_at": now}},
            )


def _decode_unsealed(document: Document) -> Webhook:
    return _decode(document, "")


def seal_binding(document: Document) -> tuple[str, ...]:
    """The values that a webhook's body is bound to."""
    account = decode_account_fields(document)
    names = document["_id"], document["mode"], account.provider.value, account.id
    return "webhooks", "body", *names


def _encode_progress(webhook: Webhook) -> Document:
    """The fields that handling changes; None removes the field."""
    return {
        "status": webhook.status.value,
        "due_at": webhook.due_at,
        "tries": webhook.tries,
        "payment": webhook.payment,
    }


def _decode(document: Mapping[str, Any], body: str) -> Webhook:
    return Webhook(
        account=decode_account_fields(document),
        event=document["event"],
        type=document["type"],
        body=body,
        received_at=document["received_at"],
        status=WebhookStatus(document["status"]),
        due_at=document.get("due_at"),
        starts_at=document.get("starts_at"),
        tries=document["tries"],
        payment=document.get("payment"),
    )
