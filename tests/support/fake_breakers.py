"""Implementers of the ports behind the gates, in memory; and who watches them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from application.ports.admission import Gates
from domain.circuit_breaker import (
    CHANGES,
    PROBE,
    Call,
    CallKind,
    Change,
    Gate,
    Position,
    Why,
    rest,
)
from domain.errors import ProviderError, StoreUnavailable
from domain.payments.answer import Answer
from domain.payments.submission import ProviderName


class MemoryBreakers:
    """Breakers. ``clock`` measures their rests; ``away`` cuts everybody off."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._gates = {name.value: Gate(name.value) for name in ProviderName}
        self._lock = threading.Lock()
        self.away = False
        self.answers = threading.Event()  #: cleared: readers wait until it is set
        self.answers.set()
        self.reads = 0

    def gates(self) -> Mapping[str, Gate]:
        """See Breakers."""
        self.reads += 1
        self.answers.wait()
        with self._answering():
            return {name: self._seen(gate) for name, gate in self._gates.items()}

    def open(
        self,
        name: str,
        *,
        why: Why,
        reason: str,
        by: str,
        probed: Gate | None = None,
        tried: Sequence[str] = (),
    ) -> Gate | None:
        """See Breakers."""
        with self._answering():
            gate = self._gates.setdefault(name, Gate(name))
            if probed is None and gate.is_open and not _outweighs(why, gate.why):
                return None
            if probed is not None and not _is_latest(probed, gate):
                return None
            failed = probed.failed + 1 if probed else 0
            pause, now = rest(why, failed), self._clock()
            again = gate.is_open and gate.why is why and why is not Why.OPERATOR
            change = Change(Position.OPEN, why, reason, by, now)
            return self._set(
                replace(
                    gate,
                    position=Position.OPEN,
                    why=why,
                    reason=reason,
                    by=by,
                    since=gate.since if gate.is_open else now,
                    probe_at=None if pause is None else now + pause,
                    failed=failed,
                    tried=_with_tried(gate, tried),
                    changes=gate.changes if again else _with(change, gate),
                )
            )

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: Gate | None = None,
    ) -> Gate | None:
        """See Breakers."""
        with self._answering():
            gate = self._gates.setdefault(name, Gate(name))
            if not gate.is_open or (probed and not _is_latest(probed, gate)):
                return None
            change = Change(Position.CLOSED, None, reason, by, self._clock())
            concerned_them = probed is not None and probed.why is Why.MISCONFIGURED
            return self._set(
                replace(
                    gate,
                    position=Position.CLOSED,
                    why=None,
                    reason=reason,
                    by=by,
                    since=change.at,
                    probe_at=None,
                    failed=0,
                    tried=gate.tried if concerned_them else (),
                    changes=_with(change, gate),
                )
            )

    def take_probe(self, name: str) -> Gate | None:
        """See Breakers."""
        with self._answering():
            gate = self._seen(self._gates.setdefault(name, Gate(name)))
            if not gate.probe_due:
                return None
            at = self._clock() + PROBE
            return self._set(replace(gate, probe=gate.probe + 1, probe_at=at))

    def _set(self, gate: Gate) -> Gate:
        self._gates[gate.name] = gate
        return self._seen(gate)

    def _seen(self, gate: Gate) -> Gate:
        left = None if gate.probe_at is None else gate.probe_at - self._clock()
        return replace(gate, probe_in=left)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self.away:
            raise StoreUnavailable
        with self._lock:
            yield


@dataclass(slots=True)
class Counts:
    """A GateWatch that remembers."""

    opens: Counter[tuple[str, Why]] = field(default_factory=Counter)
    probes: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)

    def opened(self, gate: Gate, why: Why) -> None:
        """See GateWatch."""
        self.opens[gate.name, why] += 1

    def probed(self, gate: Gate) -> None:
        """See GateWatch."""
        self.probes[gate.name] += 1

    def put_off(self, account: str, count: int) -> None:
        """See GateWatch."""
        self.waits[account] += count


def _outweighs(why: Why, stands: Why | None) -> bool:
    return why is Why.OPERATOR or (why is Why.MISCONFIGURED and stands is Why.FAILING)


def _is_latest(probed: Gate, gate: Gate) -> bool:
    latest = gate.is_open and gate.probe == probed.probe
    return latest and gate.why is not Why.OPERATOR


def _with_tried(gate: Gate, tried: Sequence[str]) -> tuple[str, ...]:
    others = [one for one in gate.tried if one not in tried]
    return (*others, *tried)[-CHANGES:]


def _with(change: Change, gate: Gate) -> tuple[Change, ...]:
    return (*gate.changes, change)[-CHANGES:]


@dataclass(frozen=True, slots=True)
class Leave:
    """An admission, as numbers."""

    granted: int
    again_in: timedelta
    after: float


class Charges:
    """Gates for charges alone, each another operation: they are asked by number."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._numbers = count()
        self._granted = threading.local()

    def admit(self, account: str, wanted: int, *, urgent: bool = True) -> Leave:
        """Asks for so many."""
        calls = [self._charge() for _ in range(wanted)]
        found = self._gates.admit(account, calls, urgent=urgent)
        self._granted.__dict__.setdefault(account, []).extend(found.granted)
        return Leave(len(found.granted), found.again_in, found.after)

    def tell(self, account: str, outcomes: Sequence[Answer | ProviderError]) -> None:
        """Tells of those that this thread was granted last, or else of others."""
        granted = self._granted.__dict__.pop(account, [])[-len(outcomes) :]
        others = [self._charge() for _ in outcomes[len(granted) :]]
        told = list(zip([*granted, *others], outcomes, strict=True))
        self._gates.tell(account, told)

    def _charge(self) -> Call:
        return Call(CallKind.CHARGES, f"op_{id(self)}_{next(self._numbers)}")
