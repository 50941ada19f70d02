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
from typing import Final

from application.ports import Admission, Breakers, GateWatch, Limiter
from domain.answer import Answer
from domain.breaker import WINDOW, Gate, Sign, Why, Window, sign_of
from domain.errors import Misconfigured, ProviderError, StoreUnavailable
from domain.limit import MAX_PAUSE

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
        self._lock = threading.Lock()  # guards the three that follow
        self._known: dict[str, Gate] = {}
        self._known_until = 0.0
        self._windows: dict[str, Window] = {}
        self._of_thread = threading.local()

    def admit(self, account: str, wanted: int, *, urgent: bool = True) -> Admission:
        """See Gates."""
        self._probes.pop(account, None)  # of an earlier group, and never heard of
        gate = self._gate(account)
        if not gate.is_open:
            admission = self._limited(account, wanted, urgent)
        elif wanted and self._takes_probe(gate):
            admission = Admission(1, self._later(gate), is_open=True)
        else:
            admission = Admission(0, self._later(gate), is_open=True)
        if admission.granted < wanted:
            self._watch.put_off(account, wanted - admission.granted)
        return admission

    def tell(self, account: str, outcomes: Sequence[Answer | ProviderError]) -> None:
        """See Gates."""
        self._slow_down(account, outcomes)
        signs = Counter(map(sign_of, outcomes))
        try:
            probed = self._probes.pop(account, None)
            if probed is not None:
                self._tell_of_probe(probed, signs, _refusal(outcomes))
            else:
                self._tell_of_calls(account, signs, _refusal(outcomes))
        except StoreUnavailable:
            log.warning("gate_not_moved", extra={"account": account})

    def _limited(self, account: str, wanted: int, urgent: bool) -> Admission:
        within = 2 * PATIENCE if urgent else PATIENCE
        taken = self._limiter.take(account, wanted, within)
        again_in = max(SOONEST, timedelta(seconds=taken.again_in))
        return Admission(taken.granted, self._spread(again_in), after=taken.after)

    def _later(self, gate: Gate) -> timedelta:
        """When to ask again at an open gate: when its next probe is due, or soon."""
        due = PARKED if gate.probe_in is None else gate.probe_in
        return self._spread(min(max(SOONEST, due), PARKED))

    def _spread(self, wait: timedelta) -> timedelta:
        """Somewhat longer: those who are put off together come back apart."""
        return wait + min(wait, PARKED) * self._jitter()

    def _takes_probe(self, gate: Gate) -> bool:
        """Whether the next probe is due and ours."""
        if not gate.probe_due:
            return False
        try:
            probed = self._breakers.take_probe(gate.account)
        except StoreUnavailable:
            return False
        # Somebody else's: until we read again, nobody here asks for it.
        self._learn([probed or replace(gate, probe_in=SOONEST)])
        if probed is None:
            return False
        self._probes[gate.account] = probed
        self._watch.probed(gate.account)
        log.info("gate_probed", extra={"account": gate.account})
        return True

    def _tell_of_probe(
        self, probed: Gate, signs: Mapping[Sign, int], refusal: str
    ) -> None:
        """What says nothing of the provider leaves the gate to the next probe."""
        if signs[Sign.REFUSED]:
            why, reason = Why.MISCONFIGURED, refusal
        elif signs[Sign.FAILED]:
            why, reason = Why.FAILING, f"{probed.failed + 1} probes in a row failed"
        elif signs[Sign.WELL] or signs[Sign.BUSY]:
            account = probed.account
            gate = self._breakers.close(
                account, reason="a probe succeeded", by=self._by, probed=probed
            )
            if gate:
                self._learn([gate])
                log.info("gate_closed", extra={"account": account})
            return
        else:
            return
        self._open(probed.account, why, reason, probed)

    def _tell_of_calls(
        self, account: str, signs: Mapping[Sign, int], refusal: str
    ) -> None:
        refused = bool(signs[Sign.REFUSED])
        with self._lock:
            known = self._known.get(account, Gate(account))
            if known.is_open and not (refused and known.why is Why.FAILING):
                return  # of calls that were under way when it opened
            window = self._windows.get(account, Window()).add(
                well=signs[Sign.WELL], failed=signs[Sign.FAILED], now=self._clock()
            )
            self._windows[account] = window
        if refused:
            self._open(account, Why.MISCONFIGURED, refusal)
        elif signs[Sign.FAILED] and window.is_failing:
            reason = f"{window.failed} of {window.told} calls failed in {WINDOW} s"
            self._open(account, Why.FAILING, reason)

    def _open(
        self, account: str, why: Why, reason: str, probed: Gate | None = None
    ) -> None:
        gate = self._breakers.open(
            account, why=why, reason=reason, by=self._by, probed=probed
        )
        if gate is None:
            with self._lock:
                self._known_until = 0.0  # somebody moved it: see how it is
            return
        self._learn([gate])
        if probed is None or probed.why is not why:
            self._watch.opened(account, why)
            told = {"account": account, "why": why.value, "reason": reason}
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

    def _gate(self, account: str) -> Gate:
        """The gate as it was a second ago at most, or when the database last told."""
        with self._lock:
            stale = self._clock() >= self._known_until
            first = not self._known
        if stale and self._reading.acquire(blocking=first):
            try:
                self._read()
            finally:
                self._reading.release()
        with self._lock:
            return self._known.get(account, Gate(account))

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
                self._known[gate.account] = gate
                if gate.is_open:  # what failed before says nothing of what comes after
                    self._windows.pop(gate.account, None)

    @property
    def _probes(self) -> dict[str, Gate]:
        """The probes that this thread is sending."""
        probes: dict[str, Gate] = self._of_thread.__dict__.setdefault("probes", {})
        return probes


def _refusal(outcomes: Sequence[Answer | ProviderError]) -> str:
    """Why the provider refuses us, where it does."""
    details = [
        one.detail
        for one in outcomes
        if isinstance(one, Misconfigured) and sign_of(one) is Sign.REFUSED
    ]
    return f"the provider refuses our credentials ({', '.join(details[:1])})"
