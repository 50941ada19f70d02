"""The Inbox on MongoDB: one document a webhook, its body sealed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from domain.errors import StoreUnavailable
from domain.payments.payment import BELL_GRACE
from domain.payments.submission import Mode
from domain.webhooks import Fate, Webhook
from persistence.codec import Document, read_whose, write_whose
from persistence.document_faults import (
    Fault,
    out_of_turn,
    read_each,
    report,
    update_each,
    write_each,
)
from persistence.encryption import Vault
from persistence.mongo import answering

log = logging.getLogger(__name__)


class MongoWebhooks:
    """The Inbox of ``mode``; ``clock`` says what is due."""

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

    def keep(self, webhook: Webhook) -> bool:
        """See Inbox."""
        whose = {"_id": webhook.id, "mode": self._mode, **write_whose(webhook.account)}
        document = {
            **whose,
            "event": webhook.event,
            "type": webhook.type,
            "body": self._vault.seal(webhook.body, *place(whose)),
            "received_at": webhook.received_at,
            "owed_from": webhook.owed_from,
            **_progress(webhook),
        }
        given = {name: value for name, value in document.items() if value is not None}
        with answering():
            try:
                self._webhooks.insert_one(given)
            except DuplicateKeyError:
                # It may be there and not committed yet; only what is, is durable.
                if self._webhooks.find_one({"_id": webhook.id}, {"_id": 1}) is None:
                    raise StoreUnavailable from None
                return False
        return True

    def load(self, ids: Sequence[str]) -> list[Webhook]:
        """See Inbox. One that cannot be opened is left for later, and reported."""
        soon = self._clock() + BELL_GRACE
        wanted = {"_id": {"$in": list(ids)}, "mode": self._mode}
        with answering():
            found = list(self._webhooks.find({**wanted, "due_at": {"$lte": soon}}))
        return read_each(found, self._opened, self._webhooks, waits=True)

    def _opened(self, document: Document) -> Webhook:
        return _decode(
            document, self._vault.open(document.get("body"), *place(document))
        )

    def due_ids(self, limit: int) -> list[str]:
        """See Inbox."""
        due: Document = {"mode": self._mode, "due_at": {"$lte": self._clock()}}
        with answering():
            waiting = out_of_turn(self._webhooks)
            if waiting:
                due["_id"] = {"$nin": waiting}
            found = self._webhooks.find(due, {"_id": 1}, sort=[("due_at", ASCENDING)])
            return [document["_id"] for document in found.limit(limit)]

    def mark(self, webhooks: Sequence[Webhook]) -> None:
        """See Inbox."""
        updates = []
        for webhook in webhooks:
            fields = _progress(webhook)
            updates.append(
                UpdateOne(
                    {"_id": webhook.id, "fate": Fate.WAITING.value},
                    {
                        "$set": {k: v for k, v in fields.items() if v is not None},
                        "$unset": {k: "" for k, v in fields.items() if v is None},
                    },
                )
            )
        if updates:
            with answering():
                written = write_each(self._webhooks, updates)
            refused = {
                webhooks[place].id: code for place, code in written.refused.items()
            }
            report(self._webhooks, Fault.REFUSED, refused, waits=True)

    def found(
        self, *, fate: Fate | None, since: datetime | None, limit: int
    ) -> list[Webhook]:
        """See Inbox. Without their bodies."""
        fates = [fate] if fate is not None else list(Fate)
        wanted: Document = {"mode": self._mode, "fate": {"$in": sorted(fates)}}
        if since is not None:
            wanted["received_at"] = {"$gte": since}
        with answering():
            found = self._webhooks.find(wanted, {"body": 0})
            newest = list(found.sort("received_at", DESCENDING).limit(limit))
        return read_each(newest, _unopened, self._webhooks)

    def replay(self, ids: Sequence[str], *, now: datetime) -> int:
        """See Inbox."""
        again = {
            "fate": Fate.WAITING.value,
            "due_at": now,
            "owed_from": now,
            "tries": 0,
        }
        with answering():
            return update_each(
                self._webhooks,
                ids,
                {"mode": self._mode},
                {"$set": again, "$push": {"replayed_at": now}},
            )


def _unopened(document: Document) -> Webhook:
    return _decode(document, "")


def place(document: Document) -> tuple[str, ...]:
    """What a webhook's body is bound to."""
    whose = read_whose(document)
    names = document["_id"], document["mode"], whose.provider.value, whose.id
    return "webhooks", "body", *names


def _progress(webhook: Webhook) -> Document:
    """What handling changes; None where the document shall have no such field."""
    return {
        "fate": webhook.fate.value,
        "due_at": webhook.due_at,
        "tries": webhook.tries,
        "payment": webhook.payment,
    }


def _decode(document: Mapping[str, Any], body: str) -> Webhook:
    return Webhook(
        account=read_whose(document),
        event=document["event"],
        type=document["type"],
        body=body,
        received_at=document["received_at"],
        fate=Fate(document["fate"]),
        due_at=document.get("due_at"),
        owed_from=document.get("owed_from"),
        tries=document["tries"],
        payment=document.get("payment"),
    )
