"""The gate before each account: a breaker that stops calls, a limiter that slows them.

One of these a worker process; what they share is in the breakers and the limiter.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Final

from application.ports.admission import Admission, Breakers, GateWatch, Limiter
from domain.circuit_breaker import (
    PROBE,
    WINDOW,
    Call,
    CallKind,
    Gate,
    Sign,
    Why,
    Window,
    gate_name,
    sign_of,
)
from domain.errors import ProviderError, StoreUnavailable
from domain.payments.answer import Answer
from domain.rate_limit import MAX_PAUSE, Taken

log = logging.getLogger(__name__)

#: Seconds that the gates are known for before they are read again.
KNOWN: Final = 1.0
#: Seconds that a group waits for its tokens; longer, it would hold threads that other
#: groups could use, so what is left is put off. What is urgent may wait twice as long:
#: a backlog never takes the tokens of the second half.
PATIENCE: Final = 0.25
#: Nothing rings for a payment sooner: beat looks once a second.
SOONEST: Final = timedelta(seconds=1)
#: How long payments behind an open gate are left alone, at most: so long, and as much
#: again by chance, they wait once it is closed. A look costs a group of them one write.
PARKED: Final = timedelta(seconds=5)
#: Where a provider that wants fewer calls does not say for how long (Stripe does not).
PAUSE: Final = timedelta(seconds=1)
#: What it asks for beyond that is tried again all the same.
LONGEST_PAUSE: Final = timedelta(seconds=MAX_PAUSE)


class SharedGates:
    """Gates. ``by`` names this process in what it changes."""

    def __init__(
        self,
        *,
        breakers: Breakers,
        limiter: Limiter,
        watch: GateWatch,
        by: str,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._breakers = breakers
        self._limiter = limiter
        self._watch = watch
        self._by = by
        self._jitter = jitter
        self._clock = clock
        self._reading = threading.Lock()  # one thread reads; others go on meanwhile
        self._lock = threading.Lock()  # guards the four that follow
        self._known: dict[str, Gate] = {}
        self._known_until = 0.0
        self._windows: dict[str, Window] = {}
        #: The probes that were sent, by operation, until when they are waited for.
        self._under_way: dict[str, tuple[Gate, float]] = {}

    def admit(
        self, account: str, calls: Sequence[Call], *, urgent: bool = True
    ) -> Admission:
        """See Gates."""
        self._refresh()
        gate, kinds = self._known_gates(account, {one.kind for one in calls})
        if gate.is_open:
            probes, passing = self._probes(gate, calls), list[Call]()
            waits = [self._later(gate)]
        else:
            probes, passing, waits = self._by_kind(calls, kinds)
        stopped = list[Call]()
        if waits:
            going = {*probes, *passing}
            stopped = [one for one in calls if one not in going]
        taken = self._limited(account, len(passing), urgent) if passing else Taken(0, 0)
        passed = passing[: taken.granted]
        if len(passed) < len(passing):
            again_in = max(SOONEST, timedelta(seconds=taken.again_in))
            waits.append(self._spread(again_in))
        if len(probes) + len(passed) < len(calls):
            self._watch.put_off(account, len(calls) - len(probes) - len(passed))
        return Admission(
            [*probes, *passed],
            min(waits, default=SOONEST),
            after=taken.after,
            stopped=stopped,
        )

    def tell(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """See Gates."""
        self._slow_down(account, [outcome for _, outcome in outcomes])
        try:
            others = list[tuple[Call, Answer | ProviderError]]()
            for call, outcome in outcomes:
                probed = self._take_probe_of(call)
                if probed is None or self._tell_of_probe(probed, call, outcome):
                    others.append((call, outcome))
            if others:
                self._tell_of_calls(account, others)
        except StoreUnavailable:
            log.warning("gate_not_moved", extra={"account": account})

    def _by_kind(
        self, calls: Sequence[Call], gates: Mapping[CallKind, Gate]
    ) -> tuple[list[Call], list[Call], list[timedelta]]:
        """The probes, those that no gate of their kind stops, and the others' waits."""
        probes, waits = list[Call](), list[timedelta]()
        for kind, gate in gates.items():
            same = [one for one in calls if one.kind is kind]
            probes += self._probes(gate, same)
            waits.append(self._later(gate))
        return probes, [one for one in calls if one.kind not in gates], waits

    def _limited(self, account: str, wanted: int, urgent: bool) -> Taken:
        within = 2 * PATIENCE if urgent else PATIENCE
        return self._limiter.take(account, wanted, within)

    def _later(self, gate: Gate) -> timedelta:
        """When to ask again at an open gate: when its next probe is due, or soon."""
        due = PARKED if gate.probe_in is None or gate.probe_due else gate.probe_in
        return self._spread(min(max(SOONEST, due), PARKED))

    def _spread(self, wait: timedelta) -> timedelta:
        """Somewhat longer: those who are put off together come back apart."""
        return wait + min(wait, PARKED) * self._jitter()

    def _probes(self, gate: Gate, calls: Sequence[Call]) -> list[Call]:
        """The one call that may pass an open gate now, where it is ours; or none.

        An operation that failed before comes last: it may fail for a cause of its own.
        """
        candidates = (one for one in calls if gate.may_probe(one.operation))
        call = min(candidates, key=attrgetter("has_failed"), default=None)
        if call is None:
            return []
        try:
            probed = self._breakers.take_probe(gate.name)
        except StoreUnavailable:
            return []
        # Somebody else's: until we read again, nobody here asks for it.
        self._learn([probed or replace(gate, probe_in=SOONEST)])
        if probed is None:
            return []
        with self._lock:
            until = self._clock() + PROBE.total_seconds()
            self._under_way[call.operation] = probed, until
        self._watch.probed(probed)
        log.info("gate_probed", extra=_named(probed))
        return [call]

    def _take_probe_of(self, call: Call) -> Gate | None:
        """The gate that the call was a probe of; those never heard of are forgotten."""
        if not self._under_way:
            return None
        with self._lock:
            probed, _ = self._under_way.pop(call.operation, (None, 0.0))
            now = self._clock()
            for name, (_, until) in list(self._under_way.items()):
                if until <= now:
                    del self._under_way[name]
        return probed

    def _tell_of_probe(
        self, probed: Gate, call: Call, outcome: Answer | ProviderError
    ) -> bool:
        """What says nothing of what the gate stands before leaves it to the next.

        Returns whether it says something else as any call does: a probe of the account
        of its kind, and one of its kind of the account.
        """
        sign, tried = sign_of(outcome), [call.operation]
        refusals = (Sign.REFUSED,) if probed.calls is None else (Sign.KIND_REFUSED,)
        if sign in refusals:
            reason = _refusal(probed, outcome)
            self._open(probed.name, Why.MISCONFIGURED, reason, tried, probed)
        elif sign is Sign.FAILED and probed.calls is None:
            reason = f"{probed.failed + 1} probes in a row failed"
            self._open(probed.name, Why.FAILING, reason, tried, probed)
        elif sign in (Sign.WELL, Sign.BUSY, Sign.KIND_REFUSED):
            gate = self._breakers.close(
                probed.name, reason="a probe succeeded", by=self._by, probed=probed
            )
            if gate:
                self._learn([gate])
                log.info("gate_closed", extra=_named(gate))
        return (sign is Sign.KIND_REFUSED) is (probed.calls is None)

    def _tell_of_calls(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        signs = Counter(sign_of(outcome) for _, outcome in outcomes)
        kinds = {call.kind for call, _ in outcomes} if signs[Sign.KIND_REFUSED] else ()
        for kind in kinds:
            self._refuse(
                gate_name(account, kind),
                Sign.KIND_REFUSED,
                [one for one in outcomes if one[0].kind is kind],
            )
        with self._lock:
            known = self._known.get(account, Gate(account))
            if known.is_open:  # when these calls were under way
                is_failing = False
            else:
                answered = signs[Sign.WELL] + signs[Sign.KIND_REFUSED]
                window = self._windows.get(account, Window()).add(
                    well=answered, failed=signs[Sign.FAILED], now=self._clock()
                )
                self._windows[account] = window
                is_failing = bool(signs[Sign.FAILED]) and window.is_failing
        if signs[Sign.REFUSED]:
            self._refuse(account, Sign.REFUSED, outcomes)
        elif is_failing:
            reason = f"{window.failed} of {window.told} calls failed in {WINDOW} s"
            self._open(account, Why.FAILING, reason)

    def _refuse(
        self,
        name: str,
        sign: Sign,
        outcomes: Sequence[tuple[Call, Answer | ProviderError]],
    ) -> None:
        """Opens a gate for refusals of this ``sign``, but for one that was refused
        before while others were not: that one's cause is its own."""
        with self._lock:
            known = self._known.get(name, Gate(name))
        if known.is_open and known.why is not Why.FAILING:
            return
        refused = {
            call.operation: outcome
            for call, outcome in outcomes
            if sign_of(outcome) is sign and call.operation not in known.tried
        }
        for outcome in list(refused.values())[:1]:
            reason = _refusal(known, outcome)
            self._open(name, Why.MISCONFIGURED, reason, list(refused))

    def _open(
        self,
        name: str,
        why: Why,
        reason: str,
        tried: Sequence[str] = (),
        probed: Gate | None = None,
    ) -> None:
        gate = self._breakers.open(
            name, why=why, reason=reason, by=self._by, probed=probed, tried=tried
        )
        if gate is None:
            with self._lock:
                self._known_until = 0.0  # somebody moved it: see how it is
            return
        self._learn([gate])
        if probed is None or probed.why is not why:
            self._watch.opened(gate, why)
            told = {**_named(gate), "why": why.value, "reason": reason}
            log.error("gate_opened", extra=told)

    def _slow_down(
        self, account: str, outcomes: Sequence[Answer | ProviderError]
    ) -> None:
        waits = [
            (one.retry_after or PAUSE)
            for one in outcomes
            if isinstance(one, ProviderError) and sign_of(one) is Sign.BUSY
        ]
        if waits:
            wait = min(max(waits), LONGEST_PAUSE)
            self._limiter.pause(account, wait.total_seconds())

    def _refresh(self) -> None:
        """Knows the gates as they were a second ago at most, or when last told."""
        with self._lock:
            stale = self._clock() >= self._known_until
            first = not self._known
        if stale and self._reading.acquire(blocking=first):
            try:
                self._read()
            finally:
                self._reading.release()

    def _known_gates(
        self, account: str, kinds: Iterable[CallKind]
    ) -> tuple[Gate, dict[CallKind, Gate]]:
        """The account's gate, and those of ``kinds`` that are open."""
        with self._lock:
            gate = self._known.get(account, Gate(account))
            found = {one: self._known.get(gate_name(account, one)) for one in kinds}
        return gate, {kind: one for kind, one in found.items() if one and one.is_open}

    def _read(self) -> None:
        with self._lock:
            if self._clock() < self._known_until:
                return  # another thread was faster
        try:
            self._learn(self._breakers.gates().values())
        except StoreUnavailable:
            log.warning("gates_not_read")
        with self._lock:
            self._known_until = self._clock() + KNOWN

    def _learn(self, gates: Iterable[Gate]) -> None:
        with self._lock:
            for gate in gates:
                self._known[gate.name] = gate
                if gate.is_open:  # what failed before says nothing of what comes after
                    self._windows.pop(gate.name, None)


def _refusal(gate: Gate, outcome: Answer | ProviderError) -> str:
    """Why the provider refuses us."""
    what = "our credentials" if gate.calls is None else f"{gate.calls} to us"
    detail = getattr(outcome, "detail", "")
    return f"the provider refuses {what} ({detail})"


def _named(gate: Gate) -> dict[str, str]:
    """The gate in logs."""
    return {"account": gate.account, "calls": gate.calls or "all"}
