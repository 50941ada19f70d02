"""The schedule of a run, determined by its seed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run. Acts are spread over ``seconds``."""

    seed: int
    payments: int
    rate: float  #: payments a second that the client tries to submit
    kills: int  #: of a worker, a web or a beat
    pauses: int  #: of a worker until its leases have expired
    wipes: int  #: of all data in Redis
    redis_stops: int
    failovers: int
    faults: int  #: armed at the providers
    absences: bool  #: faults resolved only by a proof of absence, after 10 min
    bound: float  #: seconds after healing within which everything must end
    control: int  #: payments for the plain service; 0 leaves it out

    @property
    def seconds(self) -> float:
        """The duration of the load and the nemesis."""
        return self.payments / self.rate


#: At 25 payments (35 operations) a second, two cores have room for the cost of
#: restarts. At 40 they have none, and the run only measures a queue.
LONG: Final = Plan(
    seed=0,
    payments=20_000,
    rate=25.0,
    kills=200,
    pauses=8,
    wipes=20,
    redis_stops=6,
    failovers=10,
    faults=120,
    absences=True,
    bound=840.0,
    control=2_000,
)
#: Every kind of act, in a minute and a half.
SHORT: Final = Plan(
    seed=0,
    payments=900,
    rate=30.0,
    kills=10,
    pauses=1,
    wipes=2,
    redis_stops=1,
    failovers=2,
    faults=14,
    absences=False,
    # Everything ends within half a minute, except a decline whose answer was lost
    # twice: it is trusted ten minutes after the last send.
    bound=660.0,
    control=0,
)


@dataclass(frozen=True, slots=True)
class Act:
    """An act of the nemesis, ``at`` seconds after the start."""

    at: float
    do: str
    detail: Mapping[str, Any] = field(default_factory=dict)


#: The part of a run in which faults may take 10 minutes to resolve.
_ABSENCES_UNTIL: Final = 0.5
#: The killed programs, with their weights.
KILLED: Final = {"worker": 12, "web": 5, "beat": 3}
#: Two ways to lose the data in Redis: by a command, and with its disk.
WIPES: Final = ("flush", "lose_redis")
FAILOVERS: Final = ("kill_primary", "step_down", "pause_primary")
#: Seconds. Leases end after 15, so another worker takes over.
PAUSE: Final = 20.0
#: Seconds before the healing in which both providers refuse all connections. Hundreds
#: of operations are then open, enough to measure how soon they end.
LAST_OUTAGE: Final = 10.0
#: The paths of the faults; an empty one is any call.
PATHS: Final = {
    "stripe": ("/v1/payment_intents", "/v1/refunds", ""),
    "paypal": ("/v2/checkout/orders", "/v2/payments", ""),
}
#: Most calls are to the first path.
_PATH_WEIGHTS: Final = (6, 2, 2)


def _times(random: Random) -> int:
    return random.randint(1, 12)


#: Each kind of fault with its parameters. The delay of 14 s is longer than a worker's
#: timeout, so money may move after the worker gave up.
FAULTS: Final[Sequence[Callable[[Random], dict[str, Any]]]] = (
    lambda random: {"do": "refuse", "seconds": random.uniform(0.5, 4)},
    lambda random: {"do": "drop", "times": _times(random)},
    lambda random: {"do": "commit_then_drop", "times": _times(random)},
    lambda random: {
        "do": "delay",
        "seconds": random.choice([0.5, 2.0, 6.0, 14.0]),
        "when": random.choice(["before", "after"]),
        "times": _times(random),
    },
    lambda random: {
        "do": "answer",
        "status": random.choice([500, 502, 503]),
        "times": _times(random),
    },
    lambda random: {"do": "malformed", "times": _times(random)},
    lambda random: {
        "do": "rate_limit",
        "seconds": random.choice([0, 1, 2]),
        "times": _times(random),
    },
    lambda random: {
        "do": "replay_500",
        "when": random.choice(["before", "after"]),
        "times": random.randint(1, 3),
    },
)


def schedule(plan: Plan) -> list[Act]:
    """All acts in order, the same for the same plan."""
    random = Random(plan.seed)
    wanted = [
        *(Act(at, "kill", {"kind": kind}) for at, kind in _kills(plan, random)),
        *(Act(at, "pause", {"seconds": PAUSE}) for at in _pauses(plan, random)),
        *(
            Act(at, WIPES[place % len(WIPES)])
            for place, at in enumerate(_spread(plan.wipes, plan.seconds, random))
        ),
        *(
            Act(at, "stop_redis", {"seconds": random.uniform(2, 6)})
            for at in _spread(plan.redis_stops, plan.seconds, random)
        ),
        *(
            Act(at, FAILOVERS[place % len(FAILOVERS)])
            for place, at in enumerate(_spread(plan.failovers, plan.seconds, random))
        ),
        *(
            Act(at, "fault", _fault(place, random, _may_be_absent(plan, at)))
            for place, at in enumerate(_spread(plan.faults, plan.seconds, random))
        ),
        *_last_outage(plan),
    ]
    return sorted(wanted, key=lambda act: act.at)


def _kills(plan: Plan, random: Random) -> list[tuple[float, str]]:
    kinds = list(KILLED)
    times = _spread(plan.kills, plan.seconds, random)
    # The first kills are one of each kind.
    rest = random.choices(kinds, list(KILLED.values()), k=len(times))
    return list(zip(times, [*kinds, *rest]))


def _pauses(plan: Plan, random: Random) -> list[float]:
    """Times of pauses that end within the run."""
    return _spread(plan.pauses, max(plan.seconds - PAUSE, 1.0), random)


def _last_outage(plan: Plan) -> list[Act]:
    fault = {"do": "refuse", "seconds": LAST_OUTAGE}
    return [
        Act(plan.seconds - LAST_OUTAGE, "fault", {"provider": one, "fault": fault})
        for one in PATHS
    ]


def _spread(count: int, seconds: float, random: Random) -> list[float]:
    """``count`` times, a random one in each equal part of the run."""
    return [(place + random.random()) * seconds / count for place in range(count)]


def _may_be_absent(plan: Plan, at: float) -> bool:
    """Only early in a long run, which then ends soon after its healing."""
    return plan.absences and at < plan.seconds * _ABSENCES_UNTIL


def _fault(place: int, random: Random, absent: bool) -> dict[str, Any]:
    """Every kind in turn, at a random provider, more often at Stripe.

    A repeated 500 without an effect needs a proof of absence, and so ``absent``.
    """
    provider = random.choices(list(PATHS), (3, 2))[0]
    fault = FAULTS[place % len(FAULTS)](random)
    if fault["do"] == "replay_500" and not absent:
        fault["when"] = "after"
    if fault["do"] != "refuse":
        [path] = random.choices(PATHS[provider], _PATH_WEIGHTS)
        fault["match"] = {"path": path} if path else {}
    return {"provider": provider, "fault": fault}
