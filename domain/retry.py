"""When to try again: pure, so that clock and jitter are arguments."""

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
    max_tries: int | None  #: give up after so many; None counts only time
    max_duration: timedelta | None  #: give up so long after the first try; None: never
    min_tries: int = 0  #: but not before so many tries: we may have been down meanwhile

    def next_at(
        self,
        *,
        tries: int,
        since: datetime,
        now: datetime,
        jitter: float,
        retry_after: timedelta | None = None,
    ) -> datetime | None:
        """When to try again (UTC), or None where the budget is spent.

        ``tries`` were made since ``since``; ``jitter`` is in [0, 1]. What the
        provider asked for (``retry_after``) is the least we wait, up to the budget.
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


#: A long weekend: the longest that nobody may look. Both policies share it, since a
#: payment may need one after the other and the time runs from its first attempt.
_WITHIN: Final = timedelta(days=4)

#: Tries of what changes nothing, however late they come: an hour of looks.
_LEAST: Final = 10

#: Proven not executed: the provider was away or busy. The tries fill the time.
TRANSIENT: Final = RetryPolicy(
    base_delay=timedelta(seconds=1),
    max_delay=timedelta(minutes=5),
    max_tries=2_000,
    max_duration=_WITHIN,
)
#: Sent, never heard: the same request with the same key. The window of the key,
#: which is shorter, ends it.
UNKNOWN: Final = RetryPolicy(
    base_delay=timedelta(seconds=2),
    max_delay=timedelta(minutes=5),
    max_tries=None,
    max_duration=None,
)
#: Wrong credentials: a person must act. The account's breaker asks once for all, so
#: this only keeps the one that was refused from being first in line again.
MISCONFIGURED: Final = RetryPolicy(
    base_delay=timedelta(minutes=1),
    max_delay=timedelta(minutes=1),
    max_tries=None,
    max_duration=_WITHIN,
)
#: Only a look can tell. Counted from when looking began; then a person decides.
LOOKUP: Final = RetryPolicy(
    base_delay=timedelta(seconds=5),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=timedelta(days=3),
    min_tries=_LEAST,
)
#: The payer must act: most do within minutes, PayPal waits three hours, and Stripe for
#: as long as anybody likes. A webhook is sooner, where there is one.
PAYER: Final = RetryPolicy(
    base_delay=timedelta(minutes=1),
    max_delay=timedelta(hours=6),
    max_tries=None,
    max_duration=timedelta(days=30),
    min_tries=_LEAST,
)
#: The provider has it and is not done: bank debits take days, reviews weeks.
POLL: Final = RetryPolicy(
    base_delay=timedelta(minutes=1),
    max_delay=timedelta(hours=1),
    max_tries=None,
    max_duration=timedelta(days=45),
    min_tries=_LEAST,
)
#: A method that the provider still saves, once it has paid: seconds, as a rule.
METHOD_SAVING: Final = RetryPolicy(
    base_delay=timedelta(seconds=30),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=timedelta(hours=1),
)
#: A webhook whose payment is not there yet, or is just being worked on: its insert or
#: its answer follows within seconds. What is of another system never comes.
WEBHOOK: Final = RetryPolicy(
    base_delay=timedelta(seconds=1),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=timedelta(hours=1),
    min_tries=_LEAST,
)
#: A dispute that could not be read: the provider is away, or a person must give the
#: account the right to it. Nothing but its webhooks tells of it.
DISPUTE: Final = RetryPolicy(
    base_delay=timedelta(seconds=2),
    max_delay=timedelta(minutes=10),
    max_tries=None,
    max_duration=_WITHIN,
)
