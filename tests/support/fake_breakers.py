"""Breakers and their metrics in memory."""

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
    """A BreakerStore. ``clock`` measures delays; ``away`` makes it unavailable."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._breakers = {
            name.value: CircuitBreaker(name.value) for name in ProviderName
        }
        self._lock = threading.Lock()
        self.away = False
        self.answers = threading.Event()  #: readers wait until it is set
        self.answers.set()
        self.reads = 0

    def load_all(self) -> Mapping[str, CircuitBreaker]:
        self.reads += 1
        self.answers.wait()
        with self._answering():
            return {
                name: self._seen(breaker) for name, breaker in self._breakers.items()
            }

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
        with self._answering():
            breaker = self._breakers.setdefault(name, CircuitBreaker(name))
            if (
                probed is None
                and breaker.is_open
                and not _outweighs(trip_reason, breaker.trip_reason)
            ):
                return None
            if probed is not None and not _is_latest(probed, breaker):
                return None
            failed = probed.failed_probes + 1 if probed else 0
            pause, now = probe_delay(trip_reason, failed), self._clock()
            again = (
                breaker.is_open
                and breaker.trip_reason is trip_reason
                and trip_reason is not TripReason.OPERATOR
            )
            change = BreakerChange(BreakerState.OPEN, trip_reason, reason, by, now)
            return self._set(
                replace(
                    breaker,
                    state=BreakerState.OPEN,
                    trip_reason=trip_reason,
                    reason=reason,
                    by=by,
                    since=breaker.since if breaker.is_open else now,
                    probe_at=None if pause is None else now + pause,
                    failed_probes=failed,
                    refused_operations=_with_tried(breaker, refused_operations),
                    changes=breaker.changes if again else _with(change, breaker),
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
        with self._answering():
            breaker = self._breakers.setdefault(name, CircuitBreaker(name))
            if not breaker.is_open or (probed and not _is_latest(probed, breaker)):
                return None
            change = BreakerChange(BreakerState.CLOSED, None, reason, by, self._clock())
            concerned_them = (
                probed is not None and probed.trip_reason is TripReason.MISCONFIGURED
            )
            return self._set(
                replace(
                    breaker,
                    state=BreakerState.CLOSED,
                    trip_reason=None,
                    reason=reason,
                    by=by,
                    since=change.at,
                    probe_at=None,
                    failed_probes=0,
                    refused_operations=(
                        breaker.refused_operations if concerned_them else ()
                    ),
                    changes=_with(change, breaker),
                )
            )

    def claim_probe(self, name: str) -> CircuitBreaker | None:
        with self._answering():
            breaker = self._seen(self._breakers.setdefault(name, CircuitBreaker(name)))
            if not breaker.is_probe_due:
                return None
            at = self._clock() + PROBE_TIMEOUT
            return self._set(
                replace(
                    breaker,
                    state=BreakerState.HALF_OPEN,
                    probe_number=breaker.probe_number + 1,
                    probe_at=at,
                )
            )

    def _set(self, breaker: CircuitBreaker) -> CircuitBreaker:
        self._breakers[breaker.name] = breaker
        return self._seen(breaker)

    def _seen(self, breaker: CircuitBreaker) -> CircuitBreaker:
        left = None if breaker.probe_at is None else breaker.probe_at - self._clock()
        return replace(breaker, probe_in=left)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self.away:
            raise StoreUnavailable
        with self._lock:
            yield


@dataclass(slots=True)
class Counts:
    """AdmissionMetrics that keep their counts."""

    opens: Counter[tuple[str, TripReason]] = field(default_factory=Counter)
    probes: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)

    def count_opened(self, breaker: CircuitBreaker, trip_reason: TripReason) -> None:
        self.opens[breaker.name, trip_reason] += 1

    def count_probe(self, breaker: CircuitBreaker) -> None:
        self.probes[breaker.name] += 1

    def count_postponed(self, account: str, count: int) -> None:
        self.waits[account] += count


def _outweighs(new: TripReason, current: TripReason | None) -> bool:
    return new is TripReason.OPERATOR or (
        new is TripReason.MISCONFIGURED and current is TripReason.FAILING
    )


def _is_latest(probed: CircuitBreaker, breaker: CircuitBreaker) -> bool:
    latest = breaker.is_open and breaker.probe_number == probed.probe_number
    return latest and breaker.trip_reason is not TripReason.OPERATOR


def _with_tried(breaker: CircuitBreaker, tried: Sequence[str]) -> tuple[str, ...]:
    others = [one for one in breaker.refused_operations if one not in tried]
    return (*others, *tried)[-MAX_CHANGES:]


def _with(change: BreakerChange, breaker: CircuitBreaker) -> tuple[BreakerChange, ...]:
    return (*breaker.changes, change)[-MAX_CHANGES:]


@dataclass(frozen=True, slots=True)
class Grant:
    """An admission in numbers."""

    granted: int
    retry_in: timedelta
    after: float


class Charges:
    """Admission control for charges by their number, each a new operation."""

    def __init__(self, admission: AdmissionControl) -> None:
        self._admission = admission
        self._numbers = count()
        self._granted = threading.local()

    def admit(self, account: str, wanted: int, *, urgent: bool = True) -> Grant:
        """Requests ``wanted`` calls."""
        calls = [self._charge() for _ in range(wanted)]
        found = self._admission.admit(account, calls, urgent=urgent)
        self._granted.__dict__.setdefault(account, []).extend(found.granted)
        return Grant(len(found.granted), found.retry_in, found.delay)

    def record(self, account: str, outcomes: Sequence[Answer | ProviderError]) -> None:
        """Records outcomes of this thread's last granted calls, and of new ones."""
        granted = self._granted.__dict__.pop(account, [])[-len(outcomes) :]
        others = [self._charge() for _ in outcomes[len(granted) :]]
        pairs = list(zip([*granted, *others], outcomes, strict=True))
        self._admission.record(account, pairs)

    def _charge(self) -> Call:
        return Call(CallKind.CHARGES, f"op_{id(self)}_{next(self._numbers)}")
