"""Runs every crash point, and every pair of them, of a few short histories."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from domain.payments.operation import Kind
from domain.payments.states import State
from domain.payments.submission import ProviderName
from tests.simulation.chance import Fault, Payer, ScriptedChance
from tests.simulation.clients import (
    FollowUp,
    capture,
    follow_up,
    refund,
    submission,
    submit,
    void,
)
from tests.simulation.scheduler import Actor, Violation
from tests.simulation.world import World

Step = Callable[[World], list[Actor]]

#: Rounds of messages after one step, at most.
_ROUNDS: Final = 12


def _pays(world: World) -> list[Actor]:
    return [submit(world, "pay", submission(world.provider.name, manual=False), "f")]


def _pays_twice(world: World) -> list[Actor]:
    return _pays(world) + _pays(world)


def _authorizes(world: World) -> list[Actor]:
    return [submit(world, "pay", submission(world.provider.name, manual=True), "f")]


def _authorizes_parts(world: World) -> list[Actor]:
    asked = submission(world.provider.name, manual=True, multicapture=True)
    return [submit(world, "pay", asked, "f")]


def _rival_orders(world: World) -> list[Actor]:
    asked = submission(world.provider.name, manual=False, reference="order")
    return [submit(world, "pay", asked, "f"), submit(world, "rival", asked, "f")]


def _captures(world: World) -> list[Actor]:
    return [_follow(world, "c", capture(world, 60, final=True))]


def _captures_twice(world: World) -> list[Actor]:
    return [
        _follow(world, "c1", capture(world, 60, final=False)),
        _follow(world, "c2", capture(world, 40, final=False)),
    ]


def _captures_and_voids(world: World) -> list[Actor]:
    return [
        _follow(world, "c", capture(world, None, final=True)),
        _follow(world, "v", void(world)),
    ]


def _refunds(world: World) -> list[Actor]:
    return [_follow(world, "r", refund(world, 40))]


def _refunds_twice(world: World) -> list[Actor]:
    return [
        _follow(world, "r1", refund(world, 60)),
        _follow(world, "r2", refund(world, 60)),
    ]


def _follow(world: World, key: str, request: FollowUp) -> Actor:
    """Requests a follow-up of the payment that was submitted first."""
    paid = [one for one in world.oracle.known.values() if one.find_by_key("pay")]
    return follow_up(world, key, paid[0].id if paid else "pay_none", request, "f")


SCENARIOS: Final[dict[str, Sequence[Step]]] = {
    "one charge": (_pays,),
    "the same key twice": (_pays_twice,),
    "one reference, two payments": (_rival_orders,),
    "authorize, capture": (_authorizes, _captures),
    "authorize, two captures": (_authorizes_parts, _captures_twice),
    "authorize, capture against void": (_authorizes, _captures_and_voids),
    "charge, refund": (_pays, _refunds),
    "charge, two racing refunds": (_pays, _refunds_twice),
}

#: The faults of the first calls, in order; later calls succeed.
FAULT_PLANS: Final[dict[str, tuple[Sequence[Fault], Sequence[Payer]]]] = {
    "fine": ((), ()),
    "first answer lost": ((Fault.ANSWER_LOST,), ()),
    "first answers lost": ((Fault.ANSWER_LOST, Fault.ANSWER_LOST), ()),
    "first request lost": ((Fault.REQUEST_LOST,), ()),
    "first call slow": ((Fault.SLOW,), ()),
    "first call a 500": ((Fault.ERROR_BEFORE,), ()),
    "first call a 500, yet done": ((Fault.ERROR_AFTER,), ()),
    "second answer lost": ((Fault.NONE, Fault.ANSWER_LOST), ()),
    "second call a 500, yet done": ((Fault.NONE, Fault.ERROR_AFTER), ()),
    "declined": ((), (Payer.DECLINES,)),
    "declined, answer lost": ((Fault.ANSWER_LOST,), (Payer.DECLINES,)),
    "pending": ((), (Payer.PENDS,)),
    "second pending": ((), (Payer.PAYS, Payer.PENDS)),
}


@dataclass(frozen=True, slots=True)
class Course:
    """A short history whose only choices are its crashes."""

    scenario: str
    fault_plan: str
    provider: ProviderName
    alternate: bool  #: actors alternate at every boundary; else one after the other

    def run(self, crash_at: Collection[int]) -> World:
        """Returns the world at the end. Raises Violation if a promise was broken."""
        faults, payers = FAULT_PLANS[self.fault_plan]
        world = World(self.provider, ScriptedChance(faults, payers), crash_at=crash_at)
        try:
            for step in SCENARIOS[self.scenario]:
                self._play(world, step)
            world.heal()
            world.judge()
            if not crash_at:
                _check_progress(world, self.fault_plan)
        except Violation as broken:
            raise Violation(
                f"{self}, crashes at {sorted(crash_at)}: {broken}"
            ) from None
        return world

    def crashes(self, *, pairs: bool) -> Iterator[tuple[int, ...]]:
        """Runs every crash point, with ``pairs`` every pair too; yields each."""
        yield ()
        for first in range(1, self.run(()).scheduler.passed + 1):
            yield (first,)
            passed = self.run((first,)).scheduler.passed
            for second in range(first + 1, passed + 1) if pairs else ():
                self.run((first, second))
                yield first, second

    def _play(self, world: World, step: Step) -> None:
        actors = step(world)
        self._resume_all(world, actors)
        if any(actor.process.dead for actor in actors):
            self._resume_all(
                world, step(world)
            )  # a client without an answer repeats its request
        for _ in range(_ROUNDS):
            ids = world.queue.take(10)
            if not ids:
                return
            actors = [world.work(0, ids)]
            if self.alternate:
                actors.append(world.work(1, ids))
            self._resume_all(world, actors)

    def _resume_all(self, world: World, actors: Sequence[Actor]) -> None:
        scheduler = world.scheduler
        if not self.alternate:
            world.run_to_end(*actors)
        while scheduler.actors:
            for actor in list(scheduler.actors):
                if actor in scheduler.actors:
                    scheduler.resume(actor)


def _check_progress(world: World, fault_plan: str) -> None:
    """Checks that money moves without crashes and faults."""
    done = [
        one
        for payment in world.oracle.known.values()
        for one in payment.operations
        if one.state is State.SUCCEEDED and one.kind is not Kind.VOID
    ]
    if fault_plan == "fine" and not done:
        raise Violation("no operation succeeded without faults")


def courses(*, fault_plans: Sequence[str] = tuple(FAULT_PLANS)) -> list[Course]:
    """Returns every scenario in each fault plan, at both providers, in both orders."""
    return [
        Course(scenario, fault_plan, provider, alternate)
        for scenario, fault_plan, provider, alternate in product(
            SCENARIOS, fault_plans, ProviderName, (False, True)
        )
    ]
