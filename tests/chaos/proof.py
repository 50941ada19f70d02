"""One run: starts, loads, breaks, heals, waits and checks."""

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
from tests.chaos.requester import Log, Target
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

#: Seconds between two lines of progress.
PROGRESS_EVERY: Final = 10.0
#: The duration of load and nemesis on a busy machine, relative to the plan, at most.
LATE: Final = 2.0
#: Seconds for every process to be up again.
HEAL: Final = 90.0

#: The variable end of libraries' messages.
_PARTICULARS: Final = re.compile(r"(:| '[^']*').*")

PrintLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Disruption:
    """The acts of the nemesis, and the settling after them."""

    done: Counter[str]
    elections: int
    seconds: float
    settling: Settling


def prove(
    plan: Plan,
    home: Path,
    *,
    print_line: PrintLine,
    command: str,
    control: Outcome | None = None,
) -> Report:
    """Runs ``plan`` with data and logs in ``home``, and checks the invariants.

    Raises ProcessFailed if the stack does not start or does not recover.
    """
    with stack.running(home) as running:
        planted = Canaries(canaries.new_word(), running.key)
        log = Log(home / "client.jsonl")
        database = open_database(running.mongo.url, running.database)
        print_line(f"The stack runs in {home}; seed {plan.seed}")
        with Watcher(database) as watcher:
            disruption = _disrupt(plan, running, planted, log, print_line)
            print_line(
                "Collecting the ledgers and the database, and searching for secrets"
            )
            found = _collect(running, planted, log, watcher)
        ended = states(database)
        database.client.close()
    return Report(
        command=command,
        machine=this_machine(),
        plan=plan,
        seconds=disruption.seconds,
        requests=dict(log.counts),
        done=dict(disruption.done),
        elections=disruption.elections,
        errors=dict(_errors(running.logs)),
        attempts=dict(_attempts(found)),
        states=dict(ended),
        settling=disruption.settling,
        verdicts=judge(found),
        outcome=of_product(found),
        undecided=undecided(found),
        control=control,
    )


def _disrupt(
    plan: Plan, running: Stack, planted: Canaries, log: Log, print_line: PrintLine
) -> Disruption:
    """Runs load and nemesis, heals, and waits until everything has ended."""
    supervisor = running.supervisor
    victims = Victims(supervisor, running.redis, running.providers, running.mongo)
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
        progress_at = 0.0

        def has_ended() -> bool:
            nonlocal progress_at
            supervisor.supervise()
            nemesis.tick()
            passed = time.monotonic() - started
            if passed >= progress_at:
                print_line(_progress(passed, log.counts, nemesis.done))
                progress_at = passed + PROGRESS_EVERY
            return not nemesis.waiting and passed >= plan.seconds

        wait_until(has_ended, seconds=plan.seconds * LATE)
        seconds = time.monotonic() - started
        nemesis.heal()
        supervisor.heal(seconds=HEAL)
        progress = _progress(seconds, log.counts, nemesis.done)
        print_line(f"Healed after {seconds:.0f} s: {progress}")
        settling = watch_settling(
            database,
            bound=plan.bound,
            supervise=supervisor.supervise,
            is_quiet=client.is_done,
            report=_throttle(print_line),
        )
    database.client.close()
    return Disruption(nemesis.done, running.mongo.term() - before, seconds, settling)


def _collect(running: Stack, planted: Canaries, log: Log, watcher: Watcher) -> Evidence:
    needles = planted.needles()
    database = open_database(running.mongo.url, running.database)
    leaks = [
        *canaries.leaks_in_files(running.home, needles),
        *canaries.leaks_in_documents(database, needles),
    ]
    files = len(canaries.searched_files(running.home))
    found = Evidence(
        exchanges=evidence.read_exchanges(log.path, good=GOOD),
        movements=[
            movement
            for name, url in running.providers.items()
            for movement in evidence.read_movements(name, url)
        ],
        payments=evidence.read_payments(database),
        snapshots=watcher.snapshots,
        leaks=leaks,
        searched=files + len(database.list_collection_names()) + 1,
    )
    database.client.close()
    return found


def _attempts(found: Evidence) -> Counter[str]:
    """Sends and their answers, which show the effect of the faults."""
    events = [event for payment in found.payments for event in payment.timeline]
    counts = Counter(event.type for event in events)
    answers = Counter(
        str(event.data["answer"]) for event in events if "answer" in event.data
    )
    return Counter({"sent": counts["attempt.sent"]}) + Counter(
        {"lease expired": counts["lease.expired"], **answers}
    )


def _errors(logs: Path) -> Counter[str]:
    """Lines of errors by their event; texts that are not JSON are skipped."""
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("level") in ("error", "critical"):
                # A library's event may have several lines.
                text = " ".join(str(event.get("event")).split())
                found[_PARTICULARS.sub("", text)] += 1
    return found


def _progress(passed: float, requests: Counter[str], done: Counter[str]) -> str:
    kills = sum(count for name, count in done.items() if name.startswith("kill "))
    accepted = requests["answered 202"]
    return (
        f"{passed:4.0f} s: {requests['requests']} requests, {accepted} accepted,"
        f" {requests['lost'] + requests['answered 503']} lost or refused;"
        f" {kills} kills,"
        f" {done['flush'] + done['lose_redis']} wipes, {done.total()} acts"
    )


def _throttle(print_line: PrintLine) -> Callable[[int, float], None]:
    """Prints the number of open operations every PROGRESS_EVERY seconds at most."""
    printed_at = -PROGRESS_EVERY

    def report(count: int, passed: float) -> None:
        nonlocal printed_at
        if passed - printed_at >= PROGRESS_EVERY or not count:
            printed_at = passed
            print_line(f"{passed:4.0f} s after healing: {count} operations are open")

    return report
