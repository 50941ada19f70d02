"""An account with breakers shared by several processes, and a clock set by tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from application.admission import SharedAdmissionControl
from domain.circuit_breaker import MIN_FAILURES, CircuitBreaker
from domain.errors import NotSent, ProviderError
from domain.payments.answer import Answer
from domain.payments.submission import ProviderName
from persistence.redis_limiter import LocalRateLimiter
from tests.suites.samples import NOW
from tests.support.fake_breakers import Charges, Counts, MemoryBreakers

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
AWAY = [NotSent()] * MIN_FAILURES


class Account:
    """Stripe's account and its breakers, with a clock set by tests."""

    def __init__(self, *, rate: float = 0.0) -> None:
        self.passed = 0.0
        self.breakers = MemoryBreakers(self.now)
        self.limiter = LocalRateLimiter(
            lambda account: rate if account == STRIPE else 0.0,
            clock=lambda: 1000 + self.passed,
        )
        self.counts = Counts()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def pass_time(self, by: timedelta) -> None:
        self.passed += by.total_seconds()

    def admission(self, *, jitter: Callable[[], float] = lambda: 0.0) -> Charges:
        """The admission control of one more process, for charges."""
        return Charges(self.shared(jitter=jitter))

    def shared(
        self, *, jitter: Callable[[], float] = lambda: 0.0
    ) -> SharedAdmissionControl:
        """The admission control of one more process."""
        return SharedAdmissionControl(
            breakers=self.breakers,
            limiter=self.limiter,
            watch=self.counts,
            by="one",
            jitter=jitter,
            clock=lambda: 1000 + self.passed,
        )

    @property
    def breaker(self) -> CircuitBreaker:
        """Stripe's stored breaker."""
        return self.breakers.load_all()[STRIPE]


def try_calls(admission: Charges, *outcomes: Answer | ProviderError) -> int:
    """Requests a call per outcome, records the granted ones, returns their number."""
    granted = admission.admit(STRIPE, len(outcomes)).granted
    if granted:
        admission.record(STRIPE, outcomes[:granted])
    return granted
