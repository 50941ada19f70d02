"""The worker side: claims, calls and settles in groups."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import BoundedSemaphore, Thread
from time import sleep
from typing import Any, Final
from urllib.parse import urlencode

from pymongo import UpdateOne
from redis import Redis
from urllib3 import HTTPConnectionPool, Timeout, connection_from_url

from bench.peers.floor.groups import QUEUE, groups
from bench.peers.payment_store import payments

#: Concurrent calls to Stripe.
CALLS: Final = 100
#: Seconds in which payments gather to be claimed, and outcomes to be stored.
PACE: Final = 0.02
#: Seconds for a command of Redis, longer than its wait for the next payment.
TIMEOUT: Final = 10.0
WAIT: Final = 1.0

_outcomes: SimpleQueue[UpdateOne] = SimpleQueue()
_free = BoundedSemaphore(CALLS)
_headers: Final = {
    "Authorization": f"Bearer {os.environ['PEER_STRIPE_KEY']}",
    "Content-Type": "application/x-www-form-urlencoded",
}


def main() -> None:
    """Works until it is ended."""
    Thread(target=_settle_groups, daemon=True).start()
    pool = connection_from_url(
        os.environ["PEER_STRIPE_API_BASE"],
        maxsize=CALLS,
        timeout=Timeout(connect=3, read=10),
        retries=False,
    )
    redis = Redis.from_url(os.environ["PEER_REDIS_URL"], socket_timeout=TIMEOUT)
    with ThreadPoolExecutor(CALLS) as threads:
        while True:
            for payment in _claim(list(_next_ids(redis))):
                threads.submit(_charge, pool, payment)


def _next_ids(redis: Redis) -> Iterator[str]:
    """Waits for payments, and takes as many as there are free threads."""
    first: Any = redis.blpop([QUEUE], timeout=WAIT)
    if first is None:
        return
    _free.acquire()
    yield first[1].decode()
    sleep(PACE)
    free = 0
    while _free.acquire(blocking=False):
        free += 1
    more: Any = redis.lpop(QUEUE, free) if free else None
    for one in more or ():
        yield one.decode()
    for _ in range(free - len(more or ())):
        _free.release()


def _claim(ids: list[str]) -> list[dict[str, Any]]:
    """Records that these payments are sent; returns those without an outcome."""
    if not ids:
        return []
    due = {"_id": {"$in": ids}, "status": "processing"}
    sent = {"$set": {"sent_at": datetime.now(UTC)}, "$inc": {"attempts": 1}}
    payments.update_many(due, sent)
    return list(payments.find(due))


def _charge(pool: HTTPConnectionPool, payment: Mapping[str, Any]) -> None:
    form = {
        "amount": payment["amount"],
        "currency": payment["currency"].lower(),
        "payment_method": payment["payment_method"],
        "confirm": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[reference]": payment["reference"],
        "expand[0]": "latest_charge.balance_transaction",
    }
    try:
        answer = pool.urlopen(
            "POST",
            "/v1/payment_intents",
            body=urlencode(form),
            headers={**_headers, "Idempotency-Key": payment["_id"]},
        )
        intent = json.loads(answer.data)
    finally:
        _free.release()
    charge = intent["latest_charge"]
    outcome = {
        "status": "captured" if intent["status"] == "succeeded" else "declined",
        "intent": intent["id"],
        "charge": charge["id"],
        "fee": charge["balance_transaction"]["fee"],
        "updated_at": datetime.now(UTC),
    }
    _outcomes.put(UpdateOne({"_id": payment["_id"]}, {"$set": outcome}))


def _settle_groups() -> None:
    for group in groups(_outcomes, pace=PACE, limit=CALLS):
        payments.bulk_write(group, ordered=False)


if __name__ == "__main__":
    main()
