"""One run: start, load, break, heal, wait, and judge."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.machine import this_machine
from runtime.processes import wait_until
from tests.chaos import canaries, evidence, stack
from tests.chaos.asking import Log, Target
from tests.chaos.canaries import Canaries
from tests.chaos.client import Client
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import judge
from tests.chaos.nemesis import Nemesis, Victims
from tests.chaos.outcome import Outcome, of_product, undecided
from tests.chaos.plan import Plan, schedule
from tests.chaos.report import Report
from tests.chaos.settling import Settling, states, watch_settling
from tests.chaos.stack import Stack
from tests.chaos.watch import Watcher, open_database
from tests.chaos.workload import GOOD, intents

#: Seconds between two words on how far it is.
WORD_EVERY: Final = 10.0
#: The load and the nemesis may be late on a busy machine: as many times the plan.
LATE: Final = 2.0
#: Seconds for every process to be up again.
HEAL: Final = 90.0

#: What libraries say after their first words differs each time.
_PARTICULARS: Final = re.compile(r"(:| '[^']*').*")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Broken:
    """What the nemesis did, and how it settled."""

    done: Counter[str]
    elections: int
    seconds: float
    settling: Settling


def prove(
    plan: Plan, home: Path, *, say: Say, command: str, control: Outcome | None = None
) -> Report:
    """Runs ``plan`` with data and logs in ``home``, and judges what came of it.

    Raises ProcessFailed where the stack does not start or does not come back.
    """
    with stack.running(home) as running:
        planted = Canaries(canaries.new_word(), running.key)
        log = Log(home / "client.jsonl")
        database = open_database(running.mongo.url, running.database)
        say(f"The stack runs in {home}; seed {plan.seed}")
        with Watcher(database) as watcher:
            broken = _break(plan, running, planted, log, say)
            say("Collecting the ledgers and the database, and searching for secrets")
            found = _collect(running, planted, log, watcher)
        ended = states(database)
        database.client.close()
    return Report(
        command=command,
        machine=this_machine(),
        plan=plan,
        seconds=broken.seconds,
        requests=dict(log.counts),
        done=dict(broken.done),
        elections=broken.elections,
        errors=dict(_errors(running.logs)),
        attempts=dict(_attempts(found)),
        states=dict(ended),
        settling=broken.settling,
        verdicts=judge(found),
        outcome=of_product(found),
        undecided=undecided(found),
        control=control,
    )


def _break(plan: Plan, running: Stack, planted: Canaries, log: Log, say: Say) -> Broken:
    """Load and nemesis until that is done; then healing, until all has ended."""
    keeper = running.keeper
    victims = Victims(keeper, running.redis, running.providers, running.mongo)
    acts = running.home / "nemesis.jsonl"

    def note(done: Mapping[str, Any]) -> None:
        with acts.open("a") as file:
            file.write(f"{json.dumps(done)}\n")

    nemesis = Nemesis(victims, Random(plan.seed), schedule(plan), note)
    target = Target(
        [f"{web}/v1/payments" for web in running.webs],
        {"Authorization": f"Bearer {running.key}"},
    )
    wanted = intents(
        plan.payments, seed=plan.seed, word=planted.word, card=planted.card
    )
    before, started = running.mongo.term(), time.monotonic()
    database = open_database(running.mongo.url, running.database)
    with Client(target, wanted, rate=plan.rate, log=log) as client:
        word_at = 0.0

        def played() -> bool:
            nonlocal word_at
            keeper.tend()
            nemesis.tick()
            passed = time.monotonic() - started
            if passed >= word_at:
                say(_word(passed, log.counts, nemesis.done))
                word_at = passed + WORD_EVERY
            return not nemesis.waiting and passed >= plan.seconds

        wait_until(played, seconds=plan.seconds * LATE)
        seconds = time.monotonic() - started
        nemesis.heal()
        keeper.heal(seconds=HEAL)
        say(f"Healed after {seconds:.0f} s: {_word(seconds, log.counts, nemesis.done)}")
        settling = watch_settling(
            database,
            bound=plan.bound,
            tend=keeper.tend,
            quiet=client.done,
            say=_seldom(say),
        )
    database.client.close()
    return Broken(nemesis.done, running.mongo.term() - before, seconds, settling)


def _collect(running: Stack, planted: Canaries, log: Log, watcher: Watcher) -> Evidence:
    needles = planted.needles()
    database = open_database(running.mongo.url, running.database)
    leaks = [
        *canaries.leaks_in_files(running.home, needles),
        *canaries.leaks_in_documents(database, needles),
    ]
    files = len(canaries.searched_files(running.home))
    found = Evidence(
        exchanges=evidence.exchanges(log.path, good=GOOD),
        movements=[
            movement
            for name, url in running.providers.items()
            for movement in evidence.movements(name, url)
        ],
        payments=evidence.payments(database),
        sights=watcher.sights,
        leaks=leaks,
        searched=files + len(database.list_collection_names()) + 1,
    )
    database.client.close()
    return found


def _attempts(found: Evidence) -> Counter[str]:
    """Sends, and what came of them: how much the faults were felt."""
    events = [event for payment in found.payments for event in payment.timeline]
    counts = Counter(event.type for event in events)
    answers = Counter(
        str(event.data["answer"]) for event in events if "answer" in event.data
    )
    return Counter({"sent": counts["attempt.sent"]}) + Counter(
        {"lease expired": counts["lease.expired"], **answers}
    )


def _errors(logs: Path) -> Counter[str]:
    """Lines at the level of an error, by what they say; other words are no lines."""
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and told.get("level") in ("error", "critical"):
                # A library's event may have several lines; here each is a word.
                event = " ".join(str(told.get("event")).split())
                found[_PARTICULARS.sub("", event)] += 1
    return found


def _word(passed: float, asked: Counter[str], done: Counter[str]) -> str:
    kills = sum(count for name, count in done.items() if name.startswith("kill "))
    accepted = asked["answered 202"]
    return (
        f"{passed:4.0f} s: {asked['requests']} requests, {accepted} accepted,"
        f" {asked['lost'] + asked['answered 503']} lost or refused; {kills} kills,"
        f" {done['flush'] + done['lose_redis']} wipes, {done.total()} acts"
    )


def _seldom(say: Say) -> Callable[[int, float], None]:
    """Tells of the open payments at most every WORD_EVERY seconds."""
    told = [-WORD_EVERY]

    def tell(count: int, passed: float) -> None:
        if passed - told[0] >= WORD_EVERY or not count:
            told[0] = passed
            say(f"{passed:4.0f} s after healing: {count} operations are owed work")

    return tell
