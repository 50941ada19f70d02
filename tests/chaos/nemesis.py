"""Carries the schedule out, and records each act and its time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import requests
from redis import Redis as RedisClient
from redis.exceptions import RedisError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.chaos.supervisor import Child, Supervisor
from tests.chaos.plan import Act
from tests.chaos.replica import ReplicaSet
from tests.chaos.stack import Redis

#: Seconds for one of its own requests to a server.
TIMEOUT: Final = 2.0
#: Seconds until an act without a victim is tried again.
AGAIN: Final = 0.5
#: Seconds within which a provider accepts connections again.
REFUSED: Final = 30.0
#: Seconds that a killed primary is down: longer than an election.
PRIMARY_DOWN: Final = (4.0, 7.0)
#: Seconds that a killed Redis is down.
REDIS_DOWN: Final = (0.3, 4.0)


@dataclass(frozen=True, slots=True)
class Victims:
    """The breakable parts; ``mongo`` is None for a service without MongoDB."""

    supervisor: Supervisor
    redis: Redis
    providers: Mapping[str, str]
    mongo: ReplicaSet | None


@dataclass(slots=True)
class Nemesis:
    """Call ``tick`` often, from the keeper's thread."""

    victims: Victims
    random: Random
    waiting: list[Act]
    note: Callable[[Mapping[str, Any]], None]  #: records an act
    done: Counter[str] = field(default_factory=Counter)
    _started: float | None = None

    def tick(self) -> None:
        """Does the due acts; those without a victim are tried again soon."""
        if self._started is None:
            self._started = time.monotonic()
        now = time.monotonic() - self._started
        for act in [act for act in self.waiting if act.at <= now]:
            self.waiting.remove(act)
            victim = self._perform(act)
            if victim is None:
                self.waiting.append(Act(now + AGAIN, act.do, act.detail))
                continue
            self.done[_counted(act)] += 1
            self.note({"at": time.time(), "do": act.do, "on": victim, **act.detail})

    def heal(self) -> None:
        """Disarms every fault once no provider refuses connections."""
        for url in self.victims.providers.values():
            disarm = retry(
                retry=retry_if_exception_type(requests.ConnectionError),
                wait=wait_fixed(AGAIN / 5),
                stop=stop_after_delay(REFUSED),
                reraise=True,
            )(requests.delete)
            disarm(f"{url}/_faults", timeout=TIMEOUT)

    def _perform(self, act: Act) -> str | None:
        """The name of the victim, or None if there was none."""
        try:
            return _ACTS[act.do](self, **act.detail)
        except (requests.RequestException, RedisError):
            return None

    def _kill(self, kind: str) -> str | None:
        child = self._one_of(kind)
        if child is not None:
            self.victims.supervisor.kill(child)
        return _name(child)

    def _pause(self, seconds: float) -> str | None:
        child = self._one_of("worker")
        if child is not None:
            self.victims.supervisor.pause(child, seconds=seconds)
        return _name(child)

    def _flush(self) -> str | None:
        if self._one_of("redis") is None:
            return None
        with RedisClient.from_url(
            self.victims.redis.url, socket_timeout=TIMEOUT
        ) as client:
            client.flushall()
        return "redis"

    def _lose_redis(self) -> str | None:
        child = self._one_of("redis")
        if child is not None:
            self.victims.supervisor.kill(
                child,
                down=self.random.uniform(*REDIS_DOWN),
                before_restart=self.victims.redis.set_aside,
            )
        return _name(child)

    def _stop_redis(self, seconds: float) -> str | None:
        child = self._one_of("redis")
        if child is not None:
            self.victims.supervisor.pause(child, seconds=seconds)
        return _name(child)

    def _kill_primary(self) -> str | None:
        child = self._primary()
        if child is not None:
            self.victims.supervisor.kill(child, down=self.random.uniform(*PRIMARY_DOWN))
        return _name(child)

    def _pause_primary(self) -> str | None:
        child = self._primary()
        if child is not None:
            self.victims.supervisor.pause(
                child, seconds=self.random.uniform(*PRIMARY_DOWN)
            )
        return _name(child)

    def _step_down(self) -> str | None:
        child, mongo = self._primary(), self.victims.mongo
        if child is None or mongo is None:
            return None
        place = self.victims.supervisor.children_of("mongo").index(child)
        return child.name if mongo.step_down(place) else None

    def _fault(self, provider: str, fault: Mapping[str, Any]) -> str | None:
        url = self.victims.providers.get(provider)
        if url is None:  # the plain service has one provider: break that one
            provider, url = next(iter(self.victims.providers.items()))
            fault = {**fault, "match": {}} if "match" in fault else fault
        answer = requests.post(f"{url}/_faults", json=fault, timeout=TIMEOUT)
        return provider if answer.status_code == 201 else None

    def _primary(self) -> Child | None:
        """The primary if all members are up, because two of three must stay up."""
        children = self.victims.supervisor.children_of("mongo")
        if self.victims.mongo is None or not all(child.is_up for child in children):
            return None
        place = self.victims.mongo.primary()
        return None if place is None else children[place]

    def _one_of(self, kind: str) -> Child | None:
        up = [
            child for child in self.victims.supervisor.children_of(kind) if child.is_up
        ]
        return self.random.choice(up) if up else None


_ACTS: Final[Mapping[str, Callable[..., str | None]]] = {
    "kill": Nemesis._kill,
    "pause": Nemesis._pause,
    "flush": Nemesis._flush,
    "lose_redis": Nemesis._lose_redis,
    "stop_redis": Nemesis._stop_redis,
    "kill_primary": Nemesis._kill_primary,
    "pause_primary": Nemesis._pause_primary,
    "step_down": Nemesis._step_down,
    "fault": Nemesis._fault,
}


def _name(child: Child | None) -> str | None:
    return child.name if child is not None else None


def _counted(act: Act) -> str:
    """The name of the act in the report."""
    match act.do:
        case "kill":
            return f"kill {act.detail['kind']}"
        case "fault":
            return f"fault {act.detail['fault']['do']}"
        case _:
            return act.do
