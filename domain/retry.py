"""The time of the next try: pure, with the clock and the jitter as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: 2**20 times any base is past every cap; a larger exponent only risks overflow.
_MAX_EXPONENT: Final = 20


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential waits with full jitter, within a budget of tries and of time."""

    base_delay: timedelta  #: the first wait is at most this long
    max_delay: timedelta  #: no wait is longer
    max_tries: int | None  #: give up after so many tries; None: only the time counts
    max_duration: timedelta | None  #: give up so long after the first try; None: never
    min_tries: int = 0  #: tries that are made in any case, also after a downtime

    def next_at(
        self,
        *,
        tries: int,
        since: datetime,
        now: datetime,
        jitter: float,
        retry_after: timedelta | None = None,
    ) -> datetime | None:
        """The time of the next try (UTC), or None where the budget is spent.

        ``tries`` were made since ``since``; ``jitter`` is in [0, 1]. The wait is at
        least ``retry_after``, which the provider asked for.
        """
        if self.max_tries is not None and tries >= self.max_tries:
            return None
        exponent = min(max(tries - 1, 0), _MAX_EXPONENT)
        longest = min(self.max_delay, self.base_delay * (1 << exponent))
        wait = longest * min(max(jitter, 0.0), 1.0)
        at = now + max(wait, retry_after or timedelta())
        late = self.max_duration is not None and at > since + self.max_duration
        if late and tries >= self.min_tries:
            return None
        return at


#: A long weekend, in which nobody may be at work. The policies share it, since a
#: payment may need one after the other and the time runs from its first attempt.
_LONG_WEEKEND: Final = timedelta(days=4)

#: Tries of a read that are made in any case: about an hour of status lookups.
_MIN_READS: Final = 10

#: Proven not executed: the provider was unreachable or busy. The time is the limit.
TRANSIENT: Final = RetryPolicy(
    base_delay=timedelta(seconds=1),
    max_delay=timedelta(minutes=5),
    max_tries=2_000,
    max_duration=_LONG_WEEKEND,
)
#: Sent, without a conclusive answer: the same request with the same key. The end of the
#: key's window, which comes sooner, ends it.
UNKNOWN: Final = RetryPolicy(
    base_delay=timedelta(seconds=2),
    max_delay=timedelta(minutes=5),
    max_tries=None,
    max_duration=None,
)
#: Wrong credentials: a person must change them. The account's breaker probes for all
#: payments, so this only keeps the refused operation from being the next probe.
MISCONFIGURED: Final = RetryPolicy(
    base_delay=timedelta(minutes=1),
    max_delay=timedelta(minutes=1),
    max_tries=None,
    max_duration=_LONG_WEEKEND,
)
#: Only a status lookup helps. The time runs from the first lookup; then the operation
#: needs manual review.
LOOKUP: Final = RetryPolicy(
    base_delay=timedelta(seconds=5),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=timedelta(days=3),
    min_tries=_MIN_READS,
)
#: The payer must act. Most do within minutes; PayPal waits three hours, Stripe without
#: a limit. A webhook comes sooner, if there is one.
PAYER: Final = RetryPolicy(
    base_delay=timedelta(minutes=1),
    max_delay=timedelta(hours=6),
    max_tries=None,
    max_duration=timedelta(days=30),
    min_tries=_MIN_READS,
)
#: In progress at the provider: bank debits take days, reviews weeks.
POLL: Final = RetryPolicy(
    base_delay=timedelta(minutes=1),
    max_delay=timedelta(hours=1),
    max_tries=None,
    max_duration=timedelta(days=45),
    min_tries=_MIN_READS,
)
#: The provider still saves the payment method after the payment: usually seconds.
METHOD_SAVING: Final = RetryPolicy(
    base_delay=timedelta(seconds=30),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=timedelta(hours=1),
)
#: A webhook whose payment is not stored yet, or is claimed: the insert or the answer
#: follows within seconds. The payment of another system never comes.
WEBHOOK: Final = RetryPolicy(
    base_delay=timedelta(seconds=1),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=timedelta(hours=1),
    min_tries=_MIN_READS,
)
#: A dispute that could not be read: the provider is unreachable, or a person must give
#: the account the right to read it. Disputes are known by their webhooks alone.
DISPUTE: Final = RetryPolicy(
    base_delay=timedelta(seconds=2),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=_LONG_WEEKEND,
)
