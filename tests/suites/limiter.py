"""What every Limiter promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import pytest

from application.ports.admission import Limiter
from domain.payments.submission import ProviderName

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
#: Calls a second: Stripe's bucket holds five, PayPal's has no limit.
RATES: Final[Mapping[str, float]] = {STRIPE: 20.0, PAYPAL: 0.0}
BURST: Final = 5


class LimiterSetup(Protocol):
    """A limiter and its clock."""

    def limiter(self) -> Limiter:
        """The limiter, as one more user of the account has it."""

    def pass_time(self, seconds: float) -> None:
        """Lets time pass as far as buckets go."""


@pytest.fixture
def limiter(setup: LimiterSetup) -> Limiter:
    """The limiter under test."""
    return setup.limiter()


class LimiterSuite:
    """Its subclass's module has a fixture ``setup`` and imports ``limiter``."""

    def test_a_burst_is_given_at_once_and_the_rest_later(
        self, limiter: Limiter
    ) -> None:
        taken = limiter.take(STRIPE, 32, 0.0)
        assert taken.granted == BURST
        assert taken.after == pytest.approx(0, abs=0.01)
        assert taken.again_in == pytest.approx(27 / 20, abs=0.1)
        assert limiter.take(STRIPE, 32, 0.0).granted in (0, 1)

    def test_who_waits_gets_more(self, limiter: Limiter) -> None:
        taken = limiter.take(STRIPE, 32, 0.25)
        assert taken.granted == 2 * BURST
        assert taken.after == pytest.approx(0.25, abs=0.01)

    def test_less_is_given_where_less_is_wanted(self, limiter: Limiter) -> None:
        taken = limiter.take(STRIPE, 2, 0.25)
        assert (taken.granted, taken.after, taken.again_in) == (2, 0, 0)

    def test_time_earns_tokens_up_to_a_burst(
        self, limiter: Limiter, setup: LimiterSetup
    ) -> None:
        limiter.take(STRIPE, BURST, 0.0)
        setup.pass_time(0.11)
        assert limiter.take(STRIPE, 32, 0.0).granted in (2, 3)
        setup.pass_time(60)
        assert limiter.take(STRIPE, 32, 0.0).granted == BURST

    def test_an_account_without_a_limit_gives_all(self, limiter: Limiter) -> None:
        for _ in range(3):
            taken = limiter.take(PAYPAL, 1000, 0.0)
            assert (taken.granted, taken.after, taken.again_in) == (1000, 0, 0)

    @pytest.mark.parametrize("provider", ProviderName)
    def test_a_pause_gives_nothing_until_it_ends(
        self, limiter: Limiter, setup: LimiterSetup, provider: ProviderName
    ) -> None:
        limiter.pause(provider, 5.0)
        limiter.pause(provider, 1.0)  # shortens nothing
        taken = limiter.take(provider, 3, 0.25)
        assert taken.granted == 0
        assert taken.again_in == pytest.approx(5, abs=0.5)
        setup.pass_time(5.1)
        assert limiter.take(provider, 1, 0.0).granted == 1

    def test_accounts_are_apart(self, limiter: Limiter) -> None:
        limiter.pause(PAYPAL, 60.0)
        assert limiter.take(STRIPE, 1, 0.0).granted == 1
