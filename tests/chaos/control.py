"""The same nemesis against the plain Celery service of the benchmark.

The service keeps its work in Redis and loses some, which shows that the proof detects
losses.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from redis import Redis as RedisClient

from bench.peers.service import environment
from bench.peers.table import PLAIN_CELERY
from local_stack import probe
from local_stack.folders import make_folder
from runtime import processes
from tests.chaos import stack
from tests.chaos.requester import Log, Target
from tests.chaos.client import Client
from tests.chaos.evidence import read_exchanges, read_movements
from tests.chaos.supervisor import Child, Supervisor
from tests.chaos.nemesis import Nemesis, Victims
from tests.chaos.outcome import Outcome, outcome
from tests.chaos.plan import Act, Plan, schedule
from tests.chaos.workload import GOOD, Intent, intents

#: Seconds without a charge after which the service counts as idle.
QUIET: Final = 15.0
#: Seconds after healing until the wait ends.
BOUND: Final = 90.0
#: kombu's key of messages without acknowledgement. It gives them to another worker
#: after an hour.
UNACKED: Final = "unacked"
#: Celery's queue.
QUEUE: Final = "celery"


def run(plan: Plan, home: Path, *, print_line: Callable[[str], None]) -> Outcome:
    """Runs ``plan.control`` payments with a proportionate part of the faults."""
    smaller = _scaled(plan)
    with _running(home) as victims:
        redis, url = victims.redis, victims.providers["stripe"]
        web = next(iter(victims.supervisor.children_of("web")))
        log = Log(home / "client.jsonl")
        wanted = list(_expected_intents(smaller))
        nemesis = Nemesis(
            victims, Random(plan.seed), _acts(smaller), note=lambda done: None
        )
        target = Target([f"{web.environment['CHAOS_URL']}/payments"], {})
        with Client(target, wanted, rate=plan.rate, log=log) as client:
            started = time.monotonic()

            def has_ended() -> bool:
                victims.supervisor.supervise()
                nemesis.tick()
                passed = time.monotonic() - started
                return client.is_done() and passed >= smaller.seconds

            processes.wait_until(has_ended, seconds=smaller.seconds + BOUND)
            nemesis.heal()
            victims.supervisor.heal(seconds=60)
            print_line(
                f"The plain service is healed; {nemesis.done.total()} acts were done"
            )
            _wait_for_quiet(victims.supervisor, url)
        found = read_movements("stripe", url)
        charged = [movement.key for movement in found if movement.key is not None]
        exchanges = read_exchanges(log.path, good=GOOD)
        return outcome(exchanges, charged, late=_load_queued_keys(redis.url))


def _scaled(plan: Plan) -> Plan:
    """The plan with the same number of acts a second."""
    part = plan.control / plan.payments
    return replace(
        plan,
        payments=plan.control,
        kills=max(round(plan.kills * part), 2),
        wipes=max(round(plan.wipes * part), 2),
        redis_stops=round(plan.redis_stops * part),
        faults=round(plan.faults * part),
        pauses=0,
        failovers=0,
    )


def _acts(plan: Plan) -> list[Act]:
    """The acts without those on beat, which the service does not have."""
    return [act for act in schedule(plan) if act.detail.get("kind") != "beat"]


def _expected_intents(plan: Plan) -> Iterator[Intent]:
    """Payments that Stripe accepts, once each."""
    drawn = intents(plan.payments, seed=plan.seed, word="canary", card="")
    for intent in drawn:
        body = {**intent.body, "provider": "stripe", "payment_method": GOOD[0]}
        if not intent.refused:
            yield Intent(intent.number, intent.key, body)


@contextmanager
def _running(home: Path) -> Iterator[Victims]:
    supervisor = Supervisor()
    try:
        redis, broker = stack.redis_server(home)
        url, simulator = stack.simulator("stripe", home)
        variables = {**os.environ, **environment(redis.url, url)}
        port = processes.free_port()
        base = f"http://{stack.LOOPBACK}:{port}"
        logs = make_folder(home, "logs")
        web = Child(
            name="web",
            kind="web",
            command=PLAIN_CELERY.web_command(port),
            environment={**variables, "CHAOS_URL": base},
            log=logs / "web.log",
            ready=partial(probe.is_ready, f"{base}/healthz"),
        )
        worker = Child(
            name="worker",
            kind="worker",
            command=PLAIN_CELERY.worker_command(),
            environment=variables,
            log=logs / "worker.log",
            ready=lambda: True,
        )
        supervisor.start([broker, simulator])
        supervisor.start([web, worker])
        yield Victims(supervisor, redis, {"stripe": url}, None)
    finally:
        supervisor.stop()


def _wait_for_quiet(supervisor: Supervisor, url: str) -> None:
    """Waits until nothing more is charged."""
    charged, changed_at, read_at = 0, time.monotonic(), 0.0

    def is_quiet() -> bool:
        nonlocal charged, changed_at, read_at
        supervisor.supervise()
        if time.monotonic() < read_at + 1:
            return False  # each read is of the whole ledger
        read_at, now = time.monotonic(), len(read_movements("stripe", url))
        if now != charged:
            charged, changed_at = now, time.monotonic()
        return time.monotonic() - changed_at >= QUIET

    processes.wait_until(is_quiet, seconds=BOUND)


def _load_queued_keys(url: str) -> frozenset[str]:
    """The keys of payments in waiting or unacknowledged messages."""
    with RedisClient.from_url(url) as broker:
        taken = [json.loads(entry)[0] for entry in broker.hvals(UNACKED)]
        waiting = [json.loads(message) for message in broker.lrange(QUEUE, 0, -1)]
    bodies = (base64.b64decode(message["body"]) for message in (*taken, *waiting))
    # Celery's body begins with the arguments, and they with the key.
    return frozenset(json.loads(body)[0][0] for body in bodies)
