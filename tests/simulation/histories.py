"""Random histories: the seed alone decides each of them."""

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
from tests.simulation.chance import Lucky
from tests.simulation.dashboard import Dashboard
from tests.simulation.people import (
    Asking,
    capture,
    carries_out_replays,
    follow_up,
    has_replayed,
    refund,
    resolves,
    submission,
    submit,
    void,
)
from tests.simulation.scheduler import Actor
from tests.simulation.telling import Telling
from tests.simulation.world import World

#: Turns of one history before all is healed, at most.
_TURNS: Final = 140
#: Turns after a replay of all that was stuck.
_REPLAY_TURNS: Final = 30
#: How far the clock jumps, and how often: past grace, leases, proofs, windows, holds.
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


#: Where payments may go on to: PayPal's own tokens are for PayPal alone.
_ONWARD: Final = {
    ProviderName.STRIPE: (ProviderName.STRIPE, ProviderName.PAYPAL),
    ProviderName.PAYPAL: (ProviderName.PAYPAL,),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A follow-up that a client will ask for, maybe twice."""

    key: str
    ask: Asking
    needs: Kind  #: succeeded before, or it would only be refused


class History:
    """One history; its seed decides all of it."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        provider = random.choice((ProviderName.STRIPE, ProviderName.PAYPAL))
        #: In some, payments may go on to another account.
        self.onward = random.choice((*_ONWARD[provider], None, None))
        self.world = World(
            provider,
            Lucky(random),
            workers=random.choice((1, 2, 2, 3)),
            onward=self.onward,
        )
        for worker in self.world.workers:
            worker.skew = random.choice((0, 0, 0, 1.0, -1.0))
        #: In every other history nobody has given the provider our address.
        self.telling = Telling(self.world, random) if random.random() < 0.5 else None
        #: In one of three somebody has the dashboard open.
        if random.random() < 0.33:
            self.world.dashboard = Dashboard(random)
        self.manual = random.random() < 0.5
        self.several = self.manual and random.random() < 0.5
        self.reference = "order" if random.random() < 0.25 else None
        #: Clients, each with the request that it repeats where it hears nothing.
        self.asked: list[tuple[Actor, Callable[[], Actor]]] = []
        self.replaying = False  #: a set was frozen, and not carried out yet
        self.wishes = self._wishes()
        self.submissions = self._submissions()

    @property
    def log(self) -> list[tuple[str, ...]]:
        """Who did what, in order."""
        return self.world.scheduler.log

    @property
    def provider(self) -> ProviderName:
        """Where its payments are made."""
        return self.world.provider.name

    def run(self) -> None:
        """Raises Violation where a promise was broken."""
        world, random = self.world, self.random
        for _ in range(_TURNS):
            self._turn()
            if not self.submissions and not world.scheduler.actors:
                if not self.wishes and world.table.next_due() is None:
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

    def _turn(self) -> None:
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
        elif luck < 0.94 and self.telling is not None:
            self.telling.tell()
        elif luck < 0.945:
            world.others_act()
        elif luck < 0.96:
            world.advance(random.choices(_JUMP_SIZES, cum_weights=_JUMP_WEIGHTS)[0])
        elif luck < 0.97:
            world.beat(int(random.random() * len(world.workers)))
        elif luck < 0.985:
            self._crash()
        elif luck < 0.993:
            self._operate()
        elif random.random() < 0.5:
            world.admission.granted = None if world.admission.granted == 0 else 0
        else:
            account = random.choice(world.accounts).id
            kind = random.choice([None, *CallKind])
            world.admission.open ^= {breaker_name(account, kind)}

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
            self._ask(lambda: submit(world, key, asked, fingerprint))
            return
        if not self.wishes:
            return
        payments = list(world.oracle.known.values())
        payment = payments[int(random.random() * len(payments))] if payments else None
        if payment is None:
            return
        done = payment.first_operation.state is State.SUCCEEDED
        ready = done and (self.wishes[-1].needs is not Kind.CAPTURE or payment.captured)
        if ready or random.random() < 0.03:
            wish = self.wishes.pop()
            self._ask(lambda: follow_up(world, wish.key, payment.id, wish.ask, "f"))

    def _ask(self, request: Callable[[], Actor]) -> None:
        self.asked.append((request(), request))

    def _crash(self) -> None:
        """A worker dies, or whoever is doing something; clients ask again later."""
        world, random = self.world, self.random
        actors = world.scheduler.actors
        if not actors or random.random() < 0.5:
            world.crash(int(random.random() * len(world.workers)))
            return
        world.scheduler.crash(actors[int(random.random() * len(actors))].process)
        unheard = [again for actor, again in self.asked if actor.process.dead]
        self.asked = [one for one in self.asked if not one[0].process.dead]
        for again in unheard:
            self._ask(again)

    def _operate(self) -> None:
        """An operator has what is stuck tried again, or what ended looked at."""
        world, random = self.world, self.random
        if self.replaying:
            carries_out_replays(world)
        elif world.oracle.known:
            state = random.choice((None, None, State.SUCCEEDED, State.REQUIRES_ACTION))
            ids = () if state is None else tuple(world.oracle.known)
            has_replayed(world, Search(state=state, ids=ids))
        self.replaying = not self.replaying

    def _replay_all(self) -> None:
        """An operator has all that is stuck tried again, and it may go wrong again."""
        world = self.world
        world.finish(has_replayed(world, Search()))
        world.finish(carries_out_replays(world))
        world.has(Lucky(self.random))
        for _ in range(_REPLAY_TURNS):
            self._turn()

    def _resolve_all(self) -> None:
        """A person reads the provider's books, and says what is in them."""
        world, moved = self.world, self.world.oracle.moved
        for payment in world.oracle.known.values():
            for one in payment.operations:
                if one.state in STUCK:
                    done = one.id in moved
                    verdict = Verdict.SUCCEEDED if done else Verdict.CANCELED
                    found = Evidence(verdict, amount=moved.get(one.id))
                    # A dead letter's verdict has no amount, nor a void's.
                    resolves(world, payment.id, one.id, found)
        world.finish()

    def _operations(self) -> list[Operation]:
        known = self.world.oracle.known.values()
        return [one for payment in known for one in payment.operations]

    def _submissions(self) -> list[tuple[str, Submission, str]]:
        random = self.random
        # At another provider's the payer's token is worth nothing.
        same = self.onward in (None, self.provider)
        provider = self.provider if same else None
        asked = submission(
            provider,
            manual=self.manual,
            several=self.several,
            reference=self.reference,
        )
        first = [("pay-1", asked, "f")]
        if random.random() < 0.3:
            first.append(("pay-1", asked, "f" if random.random() < 0.7 else "other"))
        if random.random() < 0.3 or self.reference:
            first.append(("pay-2", asked, "f"))
        return first

    def _wishes(self) -> list[Wish]:
        """The follow-ups, the last one first."""
        random, world = self.random, self.world
        wishes: list[Wish] = []
        if random.random() < 0.6:
            for number in range(random.choice((1, 2, 2, 3))):
                amount = random.choice((60, 60, 40, None))
                wishes.append(Wish(f"r{number}", refund(world, amount), Kind.CAPTURE))
        if self.manual and random.random() < 0.9:
            for number in range(random.choice((1, 1, 2, 2))):
                amount, final = random.choice((60, 40, None)), random.random() < 0.5
                ask = capture(world, amount, final=final)
                wishes.append(Wish(f"c{number}", ask, Kind.AUTHORIZE))
            if random.random() < 0.4:
                wishes.append(Wish("v", void(world), Kind.AUTHORIZE))
                wishes[-2:] = random.sample(wishes[-2:], 2)
        if wishes and random.random() < 0.3:
            wishes.append(wishes[-1])  # the same key once more
        return wishes
