"""The promises of every RateLimiter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import pytest

from application.ports.admission import RateLimiter
from domain.payments.submission import ProviderName

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
#: Calls a second: Stripe's bucket holds five, PayPal's has no limit.
RATES: Final[Mapping[str, float]] = {STRIPE: 20.0, PAYPAL: 0.0}
BURST: Final = 5


class LimiterSetup(Protocol):
    """A limiter and its clock."""

    def limiter(self) -> RateLimiter:
        """The limiter of one more user of the account."""

    def pass_time(self, seconds: float) -> None:
        """Moves the clock of buckets forward."""


@pytest.fixture
def limiter(setup: LimiterSetup) -> RateLimiter:
    """The limiter under test."""
    return setup.limiter()


class LimiterSuite:
    """Its subclass's module has a fixture ``setup`` and imports ``limiter``."""

    def test_a_burst_is_granted_at_once_and_the_rest_later(
        self, limiter: RateLimiter
    ) -> None:
        taken = limiter.acquire(STRIPE, 32, 0.0)
        assert taken.granted == BURST
        assert taken.delay == pytest.approx(0, abs=0.01)
        assert taken.retry_in == pytest.approx(27 / 20, abs=0.1)
        assert limiter.acquire(STRIPE, 32, 0.0).granted in (0, 1)

    def test_longer_wait_gets_more_tokens(self, limiter: RateLimiter) -> None:
        taken = limiter.acquire(STRIPE, 32, 0.25)
        assert taken.granted == 2 * BURST
        assert taken.delay == pytest.approx(0.25, abs=0.01)

    def test_a_smaller_request_gets_no_more_than_its_tokens(
        self, limiter: RateLimiter
    ) -> None:
        taken = limiter.acquire(STRIPE, 2, 0.25)
        assert (taken.granted, taken.delay, taken.retry_in) == (2, 0, 0)

    def test_tokens_refill_up_to_a_burst(
        self, limiter: RateLimiter, setup: LimiterSetup
    ) -> None:
        limiter.acquire(STRIPE, BURST, 0.0)
        setup.pass_time(0.11)
        assert limiter.acquire(STRIPE, 32, 0.0).granted in (2, 3)
        setup.pass_time(60)
        assert limiter.acquire(STRIPE, 32, 0.0).granted == BURST

    def test_an_account_without_a_limit_grants_every_token(
        self, limiter: RateLimiter
    ) -> None:
        for _ in range(3):
            taken = limiter.acquire(PAYPAL, 1000, 0.0)
            assert (taken.granted, taken.delay, taken.retry_in) == (1000, 0, 0)

    @pytest.mark.parametrize("provider", ProviderName)
    def test_a_pause_grants_nothing_until_it_ends(
        self, limiter: RateLimiter, setup: LimiterSetup, provider: ProviderName
    ) -> None:
        limiter.pause(provider, 5.0)
        limiter.pause(provider, 1.0)  # it does not shorten the pause
        taken = limiter.acquire(provider, 3, 0.25)
        assert taken.granted == 0
        assert taken.retry_in == pytest.approx(5, abs=0.5)
        setup.pass_time(5.1)
        assert limiter.acquire(provider, 1, 0.0).granted == 1

    def test_accounts_have_independent_limits(self, limiter: RateLimiter) -> None:
        limiter.pause(PAYPAL, 60.0)
        assert limiter.acquire(STRIPE, 1, 0.0).granted == 1
