"""The same nemesis against the plain Celery service of the benchmark.

It shows that the harness can see losses: a service that keeps its work in Redis
loses some.
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

from bench import peer
from local_stack import probe
from local_stack.folders import make_folder
from runtime import processes
from tests.chaos import stack
from tests.chaos.asking import Log, Target
from tests.chaos.client import Client
from tests.chaos.evidence import exchanges, movements
from tests.chaos.keeper import Child, Keeper
from tests.chaos.nemesis import Nemesis, Victims
from tests.chaos.outcome import Outcome, outcome
from tests.chaos.plan import Act, Plan, schedule
from tests.chaos.workload import GOOD, Intent, intents

#: Seconds after healing in which nothing more is charged: it has come to rest.
QUIET: Final = 15.0
#: Seconds after healing until we stop looking.
BOUND: Final = 90.0
#: Where kombu keeps messages that a worker took and did not acknowledge. It gives
#: them to another worker an hour after they were taken.
UNACKED: Final = "unacked"
#: Celery's queue.
QUEUE: Final = "celery"


def run(plan: Plan, home: Path, *, say: Callable[[str], None]) -> Outcome:
    """Plays ``plan``'s share of faults for ``plan.control`` payments."""
    smaller = _scaled(plan)
    with _running(home) as victims:
        redis, url = victims.redis, victims.providers["stripe"]
        web = next(iter(victims.keeper.of("web")))
        log = Log(home / "client.jsonl")
        wanted = list(_wanted(smaller))
        nemesis = Nemesis(
            victims, Random(plan.seed), _acts(smaller), note=lambda done: None
        )
        target = Target([f"{web.environment['CHAOS_URL']}/payments"], {})
        with Client(target, wanted, rate=plan.rate, log=log) as client:
            started = time.monotonic()

            def played() -> bool:
                victims.keeper.tend()
                nemesis.tick()
                passed = time.monotonic() - started
                return client.done() and passed >= smaller.seconds

            processes.wait_until(played, seconds=smaller.seconds + BOUND)
            nemesis.heal()
            victims.keeper.heal(seconds=60)
            say(f"The plain service is healed; {nemesis.done.total()} acts were done")
            _rest(victims.keeper, url)
        found = movements("stripe", url)
        charged = [one.key for one in found if one.key is not None]
        asked = exchanges(log.path, good=GOOD)
        return outcome(asked, charged, late=_in_redis(redis.url))


def _scaled(plan: Plan) -> Plan:
    """As much a second as the product gets."""
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
    """Those for which there is something to break: it has no beat."""
    return [act for act in schedule(plan) if act.detail.get("kind") != "beat"]


def _wanted(plan: Plan) -> Iterator[Intent]:
    """Payments that Stripe takes, once each."""
    drawn = intents(plan.payments, seed=plan.seed, word="canary", card="")
    for intent in drawn:
        body = {**intent.body, "provider": "stripe", "payment_method": GOOD[0]}
        if not intent.refused:
            yield Intent(intent.number, intent.key, body)


@contextmanager
def _running(home: Path) -> Iterator[Victims]:
    keeper = Keeper()
    try:
        redis, broker = stack.redis_server(home)
        url, simulator = stack.simulator("stripe", home)
        environment = {**os.environ, **peer.environment(redis.url, url)}
        port = processes.free_port()
        base = f"http://{stack.LOOPBACK}:{port}"
        logs = make_folder(home, "logs")
        web = Child(
            name="web",
            kind="web",
            command=peer.web_command(port),
            environment={**environment, "CHAOS_URL": base},
            log=logs / "web.log",
            ready=partial(probe.is_ready, f"{base}/healthz"),
        )
        worker = Child(
            name="worker",
            kind="worker",
            command=peer.worker_command(),
            environment=environment,
            log=logs / "worker.log",
            ready=lambda: True,
        )
        keeper.start([broker, simulator])
        keeper.start([web, worker])
        yield Victims(keeper, redis, {"stripe": url}, None)
    finally:
        keeper.stop()


def _rest(keeper: Keeper, url: str) -> None:
    """Waits until nothing more is charged."""
    charged, changed_at, read_at = 0, time.monotonic(), 0.0

    def is_quiet() -> bool:
        nonlocal charged, changed_at, read_at
        keeper.tend()
        if time.monotonic() < read_at + 1:
            return False  # it is all that is read, each time
        read_at, now = time.monotonic(), len(movements("stripe", url))
        if now != charged:
            charged, changed_at = now, time.monotonic()
        return time.monotonic() - changed_at >= QUIET

    processes.wait_until(is_quiet, seconds=BOUND)


def _in_redis(url: str) -> frozenset[str]:
    """The keys of payments whose messages wait there, or were a dead worker's."""
    with RedisClient.from_url(url) as broker:
        taken = [json.loads(one)[0] for one in broker.hvals(UNACKED)]
        waiting = [json.loads(one) for one in broker.lrange(QUEUE, 0, -1)]
    bodies = (base64.b64decode(message["body"]) for message in (*taken, *waiting))
    # Celery's body: the arguments first, and of those the key.
    return frozenset(json.loads(body)[0][0] for body in bodies)
