"""The rate limit of an account: a bucket of tokens, kept as one length of time.

This is the generic cell rate algorithm. Each call fills the bucket for one more
interval, time empties it, and a bucket that is full for longer than a burst gives no
token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The share of a second's calls that may go at once after a pause. Stripe's own bucket
#: holds a whole second's (stripe.com/blog/rate-limiters); the rest of it is for calls
#: that were admitted apart and arrive together.
BURST: Final = 0.25
#: Seconds that a bucket may be filled ahead beyond its burst: longer than a call waits
#: for its tokens. A fuller bucket is not the work of this service.
MAX_LEAD: Final = 1.0
#: Seconds of the longest pause. One answer of a provider must not stop an account for
#: an hour; calls that come too early are refused and tried again.
MAX_PAUSE: Final = 60.0
#: A part of a token: a rounding error of a float must not cost a token.
_ROUNDING: Final = 1e-4


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The tokens that a bucket gave. Times are seconds."""

    granted: int
    full_for: float  #: the bucket after this grant
    delay: float = 0.0  #: the wait before the calls
    retry_in: float = 0.0  #: the time until the refused tokens are available

    @classmethod
    def from_bucket(
        cls, wanted: int, granted: int, *, full_for: float, rate: float
    ) -> TokenGrant:
        """A grant of ``granted`` tokens, after which the bucket is ``full_for``."""
        missing = wanted - granted
        over = full_for - burst_seconds(rate)
        return cls(
            granted,
            full_for,
            delay=max(0.0, over) if granted else 0.0,
            retry_in=(
                max(0.0, over + missing * token_interval(rate)) if missing else 0.0
            ),
        )


def take_tokens(
    full_for: float, *, wanted: int, rate: float, within: float
) -> TokenGrant:
    """As many of the ``wanted`` tokens as are available ``within`` so many seconds.

    ``rate`` is in tokens a second. 0 means no limit; then only a pause fills the
    bucket.
    """
    room, each = within + burst_seconds(rate) - full_for, token_interval(rate)
    if each:
        granted = max(0, min(wanted, int(room / each + _ROUNDING)))
    else:
        granted = wanted if room >= 0 else 0
    return TokenGrant.from_bucket(
        wanted, granted, full_for=full_for + granted * each, rate=rate
    )


def pause_bucket(full_for: float, *, by: float, rate: float) -> float:
    """The bucket, filled so that it gives nothing for ``by`` seconds."""
    return max(full_for, by + burst_seconds(rate))


def token_interval(rate: float) -> float:
    """Seconds between two tokens."""
    return 1 / rate if rate else 0.0


def burst_seconds(rate: float) -> float:
    """Seconds that a bucket may be full for and still give a token."""
    return max(BURST, token_interval(rate)) if rate else 0.0
