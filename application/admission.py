"""The admission of calls to each account: breakers stop calls, a rate limit slows them.

Each worker process has one of these; they share the stored breakers and the limiter.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Final

from application.known_breakers import KnownBreakers
from application.logs import get_logger
from application.ports.admission import (
    Admission,
    BreakerStore,
    AdmissionMetrics,
    RateLimiter,
)
from domain.circuit_breaker import (
    PROBE_TIMEOUT,
    WINDOW_SECONDS,
    Call,
    CallKind,
    CircuitBreaker,
    ProviderHealth,
    TripReason,
    FailureWindow,
    breaker_name,
    assess_health,
)
from domain.errors import ProviderError, StoreUnavailable
from domain.payments.answer import Answer
from domain.rate_limit import MAX_PAUSE, TokenGrant

log = get_logger(__name__)

#: Seconds that a group waits for its tokens. A longer wait would hold threads that
#: other groups need, so the rest is postponed. Urgent groups may wait twice as long: a
#: backlog never takes the tokens of the second half.
MAX_TOKEN_WAIT: Final = 0.25
#: The shortest wait of a postponed payment: the beat runs once a second.
MIN_RETRY_DELAY: Final = timedelta(seconds=1)
#: The longest wait of a payment at an open breaker, without its jitter of as much
#: again. It is also the longest wait after the breaker has closed. Each wait costs one
#: write of a group.
PAUSED_RETRY_DELAY: Final = timedelta(seconds=5)
#: The pause for a provider that wants fewer calls and gives no time (as Stripe).
BUSY_PAUSE: Final = timedelta(seconds=1)
#: The longest pause that a provider may ask for.
MAX_BUSY_PAUSE: Final = timedelta(seconds=MAX_PAUSE)


class SharedAdmissionControl:
    """AdmissionControl by stored breakers, which this process changes as ``by``."""

    def __init__(
        self,
        *,
        breakers: BreakerStore,
        limiter: RateLimiter,
        watch: AdmissionMetrics,
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
        self._known = KnownBreakers(
            breakers, clock=clock, on_open=self._forget_failures
        )
        self._lock = threading.Lock()  # protects the two attributes that follow
        self._windows: dict[str, FailureWindow] = {}
        #: The probes under way, by operation, with the time of their timeout.
        self._probes: dict[str, tuple[CircuitBreaker, float]] = {}

    def admit(
        self, account: str, calls: Sequence[Call], *, urgent: bool = True
    ) -> Admission:
        """Admits calls through the breakers, and then through the rate limit."""
        self._known.refresh()
        breaker, kinds = self._find_breakers(account, {one.kind for one in calls})
        if breaker.is_open:
            probes, passing = self._claim_probe(breaker, calls), list[Call]()
            waits = [self._retry_delay(breaker)]
        else:
            probes, passing, waits = self._split_by_breaker(calls, kinds)
        blocked = list[Call]()
        if waits:
            unblocked = {*probes, *passing}
            blocked = [one for one in calls if one not in unblocked]
        grant = (
            self._take_tokens(account, len(passing), urgent)
            if passing
            else TokenGrant(0, 0)
        )
        passed = passing[: grant.granted]
        if len(passed) < len(passing):
            retry_in = max(MIN_RETRY_DELAY, timedelta(seconds=grant.retry_in))
            waits.append(self._with_jitter(retry_in))
        if len(probes) + len(passed) < len(calls):
            self._watch.count_postponed(account, len(calls) - len(probes) - len(passed))
        return Admission(
            [*probes, *passed],
            min(waits, default=MIN_RETRY_DELAY),
            delay=grant.delay,
            blocked=blocked,
        )

    def record(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """Records the outcomes: probes decide their breakers, other calls may trip one.

        A provider that wants fewer calls pauses the account's rate limit.
        """
        self._slow_down(account, [outcome for _, outcome in outcomes])
        try:
            others = list[tuple[Call, Answer | ProviderError]]()
            for call, outcome in outcomes:
                probed = self._pop_probe(call)
                if probed is None or self._record_probe(probed, call, outcome):
                    others.append((call, outcome))
            if others:
                self._record_calls(account, others)
        except StoreUnavailable:
            log.warning("breaker_not_updated", account=account)

    def _split_by_breaker(
        self, calls: Sequence[Call], breakers: Mapping[CallKind, CircuitBreaker]
    ) -> tuple[list[Call], list[Call], list[timedelta]]:
        """The probes, the calls without an open breaker, and the waits of the rest."""
        probes, waits = list[Call](), list[timedelta]()
        for kind, breaker in breakers.items():
            same = [one for one in calls if one.kind is kind]
            probes += self._claim_probe(breaker, same)
            waits.append(self._retry_delay(breaker))
        return probes, [one for one in calls if one.kind not in breakers], waits

    def _take_tokens(self, account: str, wanted: int, urgent: bool) -> TokenGrant:
        within = 2 * MAX_TOKEN_WAIT if urgent else MAX_TOKEN_WAIT
        return self._limiter.acquire(account, wanted, within)

    def _retry_delay(self, breaker: CircuitBreaker) -> timedelta:
        """The wait at an open breaker: until its next probe, within the bounds."""
        due = (
            PAUSED_RETRY_DELAY
            if breaker.probe_in is None or breaker.is_probe_due
            else breaker.probe_in
        )
        return self._with_jitter(min(max(MIN_RETRY_DELAY, due), PAUSED_RETRY_DELAY))

    def _with_jitter(self, wait: timedelta) -> timedelta:
        """The wait with jitter, so that postponed groups come back apart."""
        return wait + min(wait, PAUSED_RETRY_DELAY) * self._jitter()

    def _claim_probe(
        self, breaker: CircuitBreaker, calls: Sequence[Call]
    ) -> list[Call]:
        """The call that may pass an open breaker now, if this process gets the probe.

        An operation that failed before comes last: it may be the cause itself.
        """
        candidates = (one for one in calls if breaker.may_probe(one.operation))
        call = min(candidates, key=attrgetter("has_failed"), default=None)
        if call is None:
            return []
        try:
            probed = self._breakers.claim_probe(breaker.name)
        except StoreUnavailable:
            return []
        # Another process has the probe; this one waits for the next read.
        self._known.update([probed or replace(breaker, probe_in=MIN_RETRY_DELAY)])
        if probed is None:
            return []
        with self._lock:
            until = self._clock() + PROBE_TIMEOUT.total_seconds()
            self._probes[call.operation] = probed, until
        self._watch.count_probe(probed)
        log.info("breaker_probed", **_log_fields(probed))
        return [call]

    def _pop_probe(self, call: Call) -> CircuitBreaker | None:
        """The breaker that the call was a probe of, if any; drops timed-out probes."""
        if not self._probes:
            return None
        with self._lock:
            probed, _ = self._probes.pop(call.operation, (None, 0.0))
            now = self._clock()
            for name, (_, until) in list(self._probes.items()):
                if until <= now:
                    del self._probes[name]
        return probed

    def _record_probe(
        self, probed: CircuitBreaker, call: Call, outcome: Answer | ProviderError
    ) -> bool:
        """Opens or closes the breaker by the outcome of its probe, if that decides it.

        Returns whether the outcome also counts as an ordinary call: a probe of the
        account may show the health of its kind, and a probe of a kind that of the
        account.
        """
        health, tried = assess_health(outcome), [call.operation]
        refusals = (
            (ProviderHealth.REFUSED,)
            if probed.call_kind is None
            else (ProviderHealth.KIND_REFUSED,)
        )
        if health in refusals:
            reason = _refusal_reason(probed, outcome)
            self._trip(probed.name, TripReason.MISCONFIGURED, reason, tried, probed)
        elif health is ProviderHealth.FAILED and probed.call_kind is None:
            reason = f"{probed.failed_probes + 1} probes in a row failed"
            self._trip(probed.name, TripReason.FAILING, reason, tried, probed)
        elif health in (
            ProviderHealth.HEALTHY,
            ProviderHealth.BUSY,
            ProviderHealth.KIND_REFUSED,
        ):
            breaker = self._breakers.close(
                probed.name, reason="a probe succeeded", by=self._by, probed=probed
            )
            if breaker:
                self._known.update([breaker])
                log.info("breaker_closed", **_log_fields(breaker))
        return (health is ProviderHealth.KIND_REFUSED) is (probed.call_kind is None)

    def _record_calls(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        """Counts outcomes, and trips breakers for refusals or too many failures."""
        counts = Counter(assess_health(outcome) for _, outcome in outcomes)
        kinds = (
            {call.kind for call, _ in outcomes}
            if counts[ProviderHealth.KIND_REFUSED]
            else ()
        )
        for kind in kinds:
            self._trip_on_refusals(
                breaker_name(account, kind),
                ProviderHealth.KIND_REFUSED,
                [one for one in outcomes if one[0].kind is kind],
            )
        with self._lock:
            known = self._known.get(account)
            if known.is_open:  # these calls began before it opened
                is_failing = False
            else:
                answered = (
                    counts[ProviderHealth.HEALTHY] + counts[ProviderHealth.KIND_REFUSED]
                )
                window = self._windows.get(account, FailureWindow()).add(
                    healthy=answered,
                    failed=counts[ProviderHealth.FAILED],
                    now=self._clock(),
                )
                self._windows[account] = window
                is_failing = bool(counts[ProviderHealth.FAILED]) and window.is_failing
        if counts[ProviderHealth.REFUSED]:
            self._trip_on_refusals(account, ProviderHealth.REFUSED, outcomes)
        elif is_failing:
            reason = (
                f"{window.failed} of {window.total} calls failed in {WINDOW_SECONDS} s"
            )
            self._trip(account, TripReason.FAILING, reason)

    def _trip_on_refusals(
        self,
        name: str,
        health: ProviderHealth,
        outcomes: Sequence[tuple[Call, Answer | ProviderError]],
    ) -> None:
        """Opens a breaker for refusals with this ``health``.

        An operation that was refused before while others were not does not count: it is
        the cause itself.
        """
        known = self._known.get(name)
        if known.is_open and known.trip_reason is not TripReason.FAILING:
            return
        refused = {
            call.operation: outcome
            for call, outcome in outcomes
            if assess_health(outcome) is health
            and call.operation not in known.refused_operations
        }
        for outcome in list(refused.values())[:1]:
            reason = _refusal_reason(known, outcome)
            self._trip(name, TripReason.MISCONFIGURED, reason, list(refused))

    def _trip(
        self,
        name: str,
        trip_reason: TripReason,
        reason: str,
        tried: Sequence[str] = (),
        probed: CircuitBreaker | None = None,
    ) -> None:
        breaker = self._breakers.open(
            name,
            trip_reason=trip_reason,
            reason=reason,
            by=self._by,
            probed=probed,
            refused_operations=tried,
        )
        if breaker is None:
            self._known.expire()  # another process changed it
            return
        self._known.update([breaker])
        if probed is None or probed.trip_reason is not trip_reason:
            self._watch.count_opened(breaker, trip_reason)
            fields = {
                **_log_fields(breaker),
                "trip_reason": trip_reason.value,
                "reason": reason,
            }
            log.error("breaker_opened", **fields)

    def _slow_down(
        self, account: str, outcomes: Sequence[Answer | ProviderError]
    ) -> None:
        waits = [
            (one.retry_after or BUSY_PAUSE)
            for one in outcomes
            if isinstance(one, ProviderError)
            and assess_health(one) is ProviderHealth.BUSY
        ]
        if waits:
            wait = min(max(waits), MAX_BUSY_PAUSE)
            self._limiter.pause(account, wait.total_seconds())

    def _find_breakers(
        self, account: str, kinds: Iterable[CallKind]
    ) -> tuple[CircuitBreaker, dict[CallKind, CircuitBreaker]]:
        """The account's breaker, and the open breakers of ``kinds``."""
        found = {kind: self._known.get(breaker_name(account, kind)) for kind in kinds}
        return self._known.get(account), {
            kind: breaker for kind, breaker in found.items() if breaker.is_open
        }

    def _forget_failures(self, breaker: CircuitBreaker) -> None:
        """Failures before the opening do not count after it."""
        with self._lock:
            self._windows.pop(breaker.name, None)


def _refusal_reason(breaker: CircuitBreaker, outcome: Answer | ProviderError) -> str:
    """The sentence for a breaker that opens for refusals."""
    refused = (
        "our credentials" if breaker.call_kind is None else f"{breaker.call_kind} to us"
    )
    detail = getattr(outcome, "detail", "")
    return f"the provider refuses {refused} ({detail})"


def _log_fields(breaker: CircuitBreaker) -> dict[str, str]:
    """The fields of a breaker in logs."""
    return {"account": breaker.account, "calls": breaker.call_kind or "all"}
