"""Implementers of the ports behind the breakers, in memory; and who watches them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from application.ports.admission import AdmissionControl
from domain.circuit_breaker import (
    MAX_CHANGES,
    PROBE_TIMEOUT,
    Call,
    CallKind,
    BreakerChange,
    CircuitBreaker,
    BreakerState,
    TripReason,
    probe_delay,
)
from domain.errors import ProviderError, StoreUnavailable
from domain.payments.answer import Answer
from domain.payments.submission import ProviderName


class MemoryBreakers:
    """Breakers. ``clock`` measures their rests; ``away`` cuts everybody off."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._breakers = {
            name.value: CircuitBreaker(name.value) for name in ProviderName
        }
        self._lock = threading.Lock()
        self.away = False
        self.answers = threading.Event()  #: cleared: readers wait until it is set
        self.answers.set()
        self.reads = 0

    def load_all(self) -> Mapping[str, CircuitBreaker]:
        """See BreakerStore."""
        self.reads += 1
        self.answers.wait()
        with self._answering():
            return {name: self._seen(gate) for name, gate in self._breakers.items()}

    def open(
        self,
        name: str,
        *,
        trip_reason: TripReason,
        reason: str,
        by: str,
        probed: CircuitBreaker | None = None,
        refused_operations: Sequence[str] = (),
    ) -> CircuitBreaker | None:
        """See BreakerStore."""
        with self._answering():
            gate = self._breakers.setdefault(name, CircuitBreaker(name))
            if (
                probed is None
                and gate.is_open
                and not _outweighs(trip_reason, gate.trip_reason)
            ):
                return None
            if probed is not None and not _is_latest(probed, gate):
                return None
            failed = probed.failed_probes + 1 if probed else 0
            pause, now = probe_delay(trip_reason, failed), self._clock()
            again = (
                gate.is_open
                and gate.trip_reason is trip_reason
                and trip_reason is not TripReason.OPERATOR
            )
            change = BreakerChange(BreakerState.OPEN, trip_reason, reason, by, now)
            return self._set(
                replace(
                    gate,
                    state=BreakerState.OPEN,
                    trip_reason=trip_reason,
                    reason=reason,
                    by=by,
                    since=gate.since if gate.is_open else now,
                    probe_at=None if pause is None else now + pause,
                    failed_probes=failed,
                    refused_operations=_with_tried(gate, refused_operations),
                    changes=gate.changes if again else _with(change, gate),
                )
            )

    def close(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        probed: CircuitBreaker | None = None,
    ) -> CircuitBreaker | None:
        """See BreakerStore."""
        with self._answering():
            gate = self._breakers.setdefault(name, CircuitBreaker(name))
            if not gate.is_open or (probed and not _is_latest(probed, gate)):
                return None
            change = BreakerChange(BreakerState.CLOSED, None, reason, by, self._clock())
            concerned_them = (
                probed is not None and probed.trip_reason is TripReason.MISCONFIGURED
            )
            return self._set(
                replace(
                    gate,
                    state=BreakerState.CLOSED,
                    trip_reason=None,
                    reason=reason,
                    by=by,
                    since=change.at,
                    probe_at=None,
                    failed_probes=0,
                    refused_operations=(
                        gate.refused_operations if concerned_them else ()
                    ),
                    changes=_with(change, gate),
                )
            )

    def claim_probe(self, name: str) -> CircuitBreaker | None:
        """See BreakerStore."""
        with self._answering():
            gate = self._seen(self._breakers.setdefault(name, CircuitBreaker(name)))
            if not gate.is_probe_due:
                return None
            at = self._clock() + PROBE_TIMEOUT
            return self._set(
                replace(gate, probe_number=gate.probe_number + 1, probe_at=at)
            )

    def _set(self, gate: CircuitBreaker) -> CircuitBreaker:
        self._breakers[gate.name] = gate
        return self._seen(gate)

    def _seen(self, gate: CircuitBreaker) -> CircuitBreaker:
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
    """A AdmissionMetrics that remembers."""

    opens: Counter[tuple[str, TripReason]] = field(default_factory=Counter)
    probes: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)

    def count_opened(self, breaker: CircuitBreaker, trip_reason: TripReason) -> None:
        """See AdmissionMetrics."""
        self.opens[breaker.name, trip_reason] += 1

    def count_probe(self, breaker: CircuitBreaker) -> None:
        """See AdmissionMetrics."""
        self.probes[breaker.name] += 1

    def count_postponed(self, account: str, count: int) -> None:
        """See AdmissionMetrics."""
        self.waits[account] += count


def _outweighs(why: TripReason, stands: TripReason | None) -> bool:
    return why is TripReason.OPERATOR or (
        why is TripReason.MISCONFIGURED and stands is TripReason.FAILING
    )


def _is_latest(probed: CircuitBreaker, gate: CircuitBreaker) -> bool:
    latest = gate.is_open and gate.probe_number == probed.probe_number
    return latest and gate.trip_reason is not TripReason.OPERATOR


def _with_tried(gate: CircuitBreaker, tried: Sequence[str]) -> tuple[str, ...]:
    others = [one for one in gate.refused_operations if one not in tried]
    return (*others, *tried)[-MAX_CHANGES:]


def _with(change: BreakerChange, gate: CircuitBreaker) -> tuple[BreakerChange, ...]:
    return (*gate.changes, change)[-MAX_CHANGES:]


@dataclass(frozen=True, slots=True)
class Leave:
    """An admission, as numbers."""

    granted: int
    again_in: timedelta
    after: float


class Charges:
    """Breakers for charges alone, each another operation: they are asked by number."""

    def __init__(self, gates: AdmissionControl) -> None:
        self._gates = gates
        self._numbers = count()
        self._granted = threading.local()

    def admit(self, account: str, wanted: int, *, urgent: bool = True) -> Leave:
        """Asks for so many."""
        calls = [self._charge() for _ in range(wanted)]
        found = self._gates.admit(account, calls, urgent=urgent)
        self._granted.__dict__.setdefault(account, []).extend(found.granted)
        return Leave(len(found.granted), found.retry_in, found.delay)

    def record(self, account: str, outcomes: Sequence[Answer | ProviderError]) -> None:
        """Tells of those that this thread was granted last, or else of others."""
        granted = self._granted.__dict__.pop(account, [])[-len(outcomes) :]
        others = [self._charge() for _ in outcomes[len(granted) :]]
        told = list(zip([*granted, *others], outcomes, strict=True))
        self._gates.record(account, told)

    def _charge(self) -> Call:
        return Call(CallKind.CHARGES, f"op_{id(self)}_{next(self._numbers)}")
