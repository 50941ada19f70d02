"""Random histories, each determined by its seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from random import Random
from typing import Final

from domain.circuit_breaker import CallKind, breaker_name
from domain.payments.answer import Verdict
from domain.payments.operation import Kind, Operation
from domain.payments.operator_actions import Evidence
from domain.payments.states import STUCK, State
from domain.payments.submission import ProviderName, Submission
from domain.replays import Search
from tests.simulation.chance import RandomChance
from tests.simulation.dashboard import Dashboard
from tests.simulation.clients import (
    FollowUp,
    capture,
    follow_up,
    refund,
    submission,
    submit,
    void,
)
from tests.simulation.operators import run_replays, start_replay, resolve_operation
from tests.simulation.scheduler import Actor
from tests.simulation.webhooks import WebhookSource
from tests.simulation.world import World

#: Steps of one history before all faults stop, at most.
_STEPS: Final = 140
#: Steps after a replay of all stuck operations.
_REPLAY_STEPS: Final = 30
#: Jumps of the clock and their weights: past grace, leases, proofs, windows, holds.
_JUMPS: Final = (
    (timedelta(milliseconds=200), 30),
    (timedelta(seconds=3), 30),
    (timedelta(seconds=16), 24),
    (timedelta(minutes=2), 10),
    (timedelta(minutes=11), 8),
    (timedelta(hours=1), 4),
    (timedelta(hours=5, minutes=30), 4),
    (timedelta(hours=23, minutes=30), 4),
    (timedelta(days=3), 2),
    (timedelta(days=7), 1),
)
_JUMP_SIZES: Final = [size for size, _ in _JUMPS]
_JUMP_WEIGHTS: Final = list(accumulate(weight for _, weight in _JUMPS))


#: Providers of the second account. PayPal's own tokens work at PayPal alone.
_SECOND_PROVIDERS: Final = {
    ProviderName.STRIPE: (ProviderName.STRIPE, ProviderName.PAYPAL),
    ProviderName.PAYPAL: (ProviderName.PAYPAL,),
}


@dataclass(frozen=True, slots=True)
class PlannedFollowUp:
    """A follow-up that a client requests later, maybe twice."""

    key: str
    request: FollowUp
    needs: Kind  #: this kind must have succeeded, or the request would be refused


class History:
    """One history, determined by its seed."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        provider = random.choice((ProviderName.STRIPE, ProviderName.PAYPAL))
        #: Some histories have a second account for reroutes.
        self.second_provider = random.choice((*_SECOND_PROVIDERS[provider], None, None))
        self.world = World(
            provider,
            RandomChance(random),
            workers=random.choice((1, 2, 2, 3)),
            second_provider=self.second_provider,
        )
        for worker in self.world.workers:
            worker.skew = random.choice((0, 0, 0, 1.0, -1.0))
        #: Every other history has no webhooks.
        self.webhooks = (
            WebhookSource(self.world, random) if random.random() < 0.5 else None
        )
        #: One history of three has external changes.
        if random.random() < 0.33:
            self.world.dashboard = Dashboard(random)
        self.manual = random.random() < 0.5
        self.multicapture = self.manual and random.random() < 0.5
        self.reference = "order" if random.random() < 0.25 else None
        #: Clients, each with the request that it repeats without an answer.
        self.requests: list[tuple[Actor, Callable[[], Actor]]] = []
        self.replaying = False  #: a replay was started and not run yet
        self.planned = self._plan_follow_ups()
        self.submissions = self._plan_submissions()

    @property
    def log(self) -> list[tuple[str, ...]]:
        """The steps of all actors, in order."""
        return self.world.scheduler.log

    @property
    def provider(self) -> ProviderName:
        """The provider of its payments."""
        return self.world.provider.name

    def run(self) -> None:
        """Plays the history. Raises Violation if a promise was broken."""
        world, random = self.world, self.random
        for _ in range(_STEPS):
            self._step()
            if not self.submissions and not world.scheduler.actors:
                if not self.planned and world.table.next_due() is None:
                    break
        world.heal()
        world.judge()
        if any(one.state in STUCK for one in self._operations()):
            if random.random() < 0.6:
                self._replay_all()
                world.heal()
                world.judge()
            if random.random() < 0.6:
                self._resolve_all()
                world.heal()
                world.judge()

    def _step(self) -> None:
        world, random = self.world, self.random
        actors, luck = world.scheduler.actors, random.random()
        if actors and luck < 0.72:
            world.scheduler.resume(actors[int(random.random() * len(actors))])
        elif luck < 0.80:
            self._work()
        elif luck < 0.85:
            self._request()
        elif luck < 0.90:
            world.recover()
        elif luck < 0.94 and self.webhooks is not None:
            self.webhooks.deliver()
        elif luck < 0.945:
            world.act_in_dashboard()
        elif luck < 0.96:
            world.advance(random.choices(_JUMP_SIZES, cum_weights=_JUMP_WEIGHTS)[0])
        elif luck < 0.97:
            world.renew_leases(int(random.random() * len(world.workers)))
        elif luck < 0.985:
            self._crash()
        elif luck < 0.993:
            self._start_or_run_replay()
        elif random.random() < 0.5:
            world.admission.granted = None if world.admission.granted == 0 else 0
        else:
            account = random.choice(world.accounts).id
            kind = random.choice([None, *CallKind])
            world.admission.open_breakers ^= {breaker_name(account, kind)}

    def _work(self) -> None:
        world, random = self.world, self.random
        ids = world.queue.take(1 if random.random() < 0.7 else 3)
        if ids:
            world.work(int(random.random() * len(world.workers)), ids)
        else:
            self._request()

    def _request(self) -> None:
        world, random = self.world, self.random
        if self.submissions and random.random() < 0.6:
            key, asked, fingerprint = self.submissions.pop()
            self._start_request(lambda: submit(world, key, asked, fingerprint))
            return
        if not self.planned:
            return
        payments = list(world.oracle.known.values())
        payment = payments[int(random.random() * len(payments))] if payments else None
        if payment is None:
            return
        done = payment.first_operation.state is State.SUCCEEDED
        ready = done and (
            self.planned[-1].needs is not Kind.CAPTURE or payment.captured
        )
        if ready or random.random() < 0.03:
            plan = self.planned.pop()
            self._start_request(
                lambda: follow_up(world, plan.key, payment.id, plan.request, "f")
            )

    def _start_request(self, request: Callable[[], Actor]) -> None:
        self.requests.append((request(), request))

    def _crash(self) -> None:
        """Crashes a worker or another process; clients repeat their requests."""
        world, random = self.world, self.random
        actors = world.scheduler.actors
        if not actors or random.random() < 0.5:
            world.crash(int(random.random() * len(world.workers)))
            return
        world.scheduler.crash(actors[int(random.random() * len(actors))].process)
        unanswered = [again for actor, again in self.requests if actor.process.dead]
        self.requests = [one for one in self.requests if not one[0].process.dead]
        for again in unanswered:
            self._start_request(again)

    def _start_or_run_replay(self) -> None:
        """Previews and starts a replay of stuck or ended operations, or runs it."""
        world, random = self.world, self.random
        if self.replaying:
            run_replays(world)
        elif world.oracle.known:
            state = random.choice((None, None, State.SUCCEEDED, State.REQUIRES_ACTION))
            ids = () if state is None else tuple(world.oracle.known)
            start_replay(world, Search(state=state, ids=ids))
        self.replaying = not self.replaying

    def _replay_all(self) -> None:
        """Replays all stuck operations, under new random faults."""
        world = self.world
        world.run_to_end(start_replay(world, Search()))
        world.run_to_end(run_replays(world))
        world.use_chance(RandomChance(self.random))
        for _ in range(_REPLAY_STEPS):
            self._step()

    def _resolve_all(self) -> None:
        """Resolves all stuck operations by the provider's books."""
        world, moved = self.world, self.world.oracle.moved
        for payment in world.oracle.known.values():
            for one in payment.operations:
                if one.state in STUCK:
                    done = one.id in moved
                    verdict = Verdict.SUCCEEDED if done else Verdict.CANCELED
                    found = Evidence(verdict, amount=moved.get(one.id))
                    # Verdicts of dead letters and voids have no amount.
                    resolve_operation(world, payment.id, one.id, found)
        world.run_to_end()

    def _operations(self) -> list[Operation]:
        known = self.world.oracle.known.values()
        return [one for payment in known for one in payment.operations]

    def _plan_submissions(self) -> list[tuple[str, Submission, str]]:
        random = self.random
        # The payer's token is worthless at another provider.
        same = self.second_provider in (None, self.provider)
        provider = self.provider if same else None
        asked = submission(
            provider,
            manual=self.manual,
            multicapture=self.multicapture,
            reference=self.reference,
        )
        first = [("pay-1", asked, "f")]
        if random.random() < 0.3:
            first.append(("pay-1", asked, "f" if random.random() < 0.7 else "other"))
        if random.random() < 0.3 or self.reference:
            first.append(("pay-2", asked, "f"))
        return first

    def _plan_follow_ups(self) -> list[PlannedFollowUp]:
        """Returns the follow-ups, the last one first."""
        random, world = self.random, self.world
        planned: list[PlannedFollowUp] = []
        if random.random() < 0.6:
            for number in range(random.choice((1, 2, 2, 3))):
                amount = random.choice((60, 60, 40, None))
                planned.append(
                    PlannedFollowUp(f"r{number}", refund(world, amount), Kind.CAPTURE)
                )
        if self.manual and random.random() < 0.9:
            for number in range(random.choice((1, 1, 2, 2))):
                amount, final = random.choice((60, 40, None)), random.random() < 0.5
                ask = capture(world, amount, final=final)
                planned.append(PlannedFollowUp(f"c{number}", ask, Kind.AUTHORIZE))
            if random.random() < 0.4:
                planned.append(PlannedFollowUp("v", void(world), Kind.AUTHORIZE))
                planned[-2:] = random.sample(planned[-2:], 2)
        if planned and random.random() < 0.3:
            planned.append(planned[-1])  # the same key once more
        return planned
