"""The web side: a WSGI application; each request waits for its group's insert."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from bench.peers.floor.groups import QUEUE, groups
from bench.peers.payment_store import new_document, payments

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Seconds in which a group gathers, and its most payments.
PACE: Final = 0.02
GROUP: Final = 64
#: Seconds for a request.
TIMEOUT: Final = 10.0

_waiting: SimpleQueue[tuple[dict[str, Any], Future[None]]] = SimpleQueue()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers 202 once the payment is stored."""
    status, shown = "200 OK", {"status": "ok"}
    if environ["REQUEST_METHOD"] == "POST":
        key = environ["HTTP_IDEMPOTENCY_KEY"]
        payment = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        stored: Future[None] = Future()
        _waiting.put((new_document(key, payment), stored))
        stored.result(TIMEOUT)
        status, shown = "202 Accepted", {"id": key, "status": "processing"}
    body = json.dumps(shown).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    start_response(status, list(headers.items()))
    return [body]


def _store_groups() -> None:
    redis = Redis.from_url(os.environ["PEER_REDIS_URL"], socket_timeout=TIMEOUT)
    for group in groups(_waiting, pace=PACE, limit=GROUP):
        documents = [document for document, _ in group]
        try:
            payments.insert_many(documents, ordered=False)
            redis.rpush(QUEUE, *(document["_id"] for document in documents))
        except Exception as error:  # each waiting request gets it
            for _, stored in group:
                stored.set_exception(error)
        else:
            for _, stored in group:
                stored.set_result(None)


Thread(target=_store_groups, daemon=True).start()
