"""The peers of the benchmark."""

from __future__ import annotations

from typing import Final

from bench.peers.service import Peer
from bench.sides import Role, Side

#: Concurrent calls to Stripe in all, as in the product's workers.
CALLS: Final = 100
#: Worker processes of a durable peer; on two cores, two were its best.
WORKERS: Final = 2


def _celery(package: str, workers: int) -> tuple[str, ...]:
    """The command of a Celery worker whose threads are its part of CALLS."""
    return (
        *("-m", "celery", "--app", f"{package}.tasks", "--quiet", "worker"),
        *("--pool", "threads", "--concurrency", str(CALLS // workers)),
        *("--hostname", "worker{number}@localhost"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


PLAIN_CELERY: Final = Peer(
    "bench.peers.plain_celery",
    _celery("bench.peers.plain_celery", 1),
    workers=1,
    durable=False,
)
DURABLE_CELERY: Final = Peer(
    "bench.peers.durable_celery",
    _celery("bench.peers.durable_celery", WORKERS),
    workers=WORKERS,
    durable=True,
)
DURABLE_DRAMATIQ: Final = Peer(
    "bench.peers.durable_dramatiq",
    (
        *("-m", "dramatiq", "bench.peers.durable_dramatiq.tasks"),
        *("--processes", str(WORKERS), "--threads", str(CALLS // WORKERS)),
    ),
    workers=1,  # it starts its processes itself
    durable=True,
)
FLOOR: Final = Peer(
    "bench.peers.floor", ("-m", "bench.peers.floor.worker"), workers=1, durable=True
)

PEERS: Final = (
    Side("plain", "Celery, no database", Role.NO_DATABASE, PLAIN_CELERY.serving),
    Side("celery", "Celery and MongoDB", Role.DURABLE, DURABLE_CELERY.serving),
    Side("dramatiq", "dramatiq and MongoDB", Role.DURABLE, DURABLE_DRAMATIQ.serving),
    Side("floor", "floor", Role.FLOOR, FLOOR.serving),
)
