"""How many calls an account takes: a bucket of tokens, kept as one length of time.

The generic cell rate algorithm: each call fills the bucket for one more interval, time
empties it, and one that is full for longer than a burst takes no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Of a second's calls, how many may go at once after a pause. Stripe's own bucket holds
#: a second's (stripe.com/blog/rate-limiters), so the rest of it is for calls that were
#: admitted apart and arrive together.
BURST: Final = 0.25
#: Seconds that a bucket may be filled ahead beyond its burst: longer than a call waits
#: for its tokens. A bucket that is fuller than that was filled by nobody of ours.
MAX_LEAD: Final = 1.0
#: Seconds of the longest pause. One answer of a provider must not stop an account for
#: an hour; calls that come too early are refused and tried again.
MAX_PAUSE: Final = 60.0
#: Of a token: what floats lose of a time must not cost one.
_ROUNDING: Final = 1e-4


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a bucket gave. Times are seconds."""

    granted: int
    full_for: float  #: the bucket as it is now
    delay: float = 0.0  #: how long to wait before the calls are made
    retry_in: float = 0.0  #: when what was not granted may be had

    @classmethod
    def from_bucket(
        cls, wanted: int, granted: int, *, full_for: float, rate: float
    ) -> TokenGrant:
        """``granted`` of ``wanted``, from a bucket that is full for so long since."""
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
    """As many of ``wanted`` tokens as there are ``within`` so many seconds.

    ``rate`` is in tokens a second; 0 is without a limit, and then only a pause fills
    the bucket.
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
    """Seconds that a bucket may be full for and still give: a token's at least."""
    return max(BURST, token_interval(rate)) if rate else 0.0
