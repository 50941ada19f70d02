"""The result of a round: its figures and its faults. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.errors import BenchError
from bench.figures import Percentiles, Round, percentiles
from bench.load import Submission
from bench.sides import Counts, Stored

#: The required final status of our payments.
CAPTURED: Final = "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The observations of a round after its warm-up.

    All but ``alone``, ``paced`` and their ``charges`` are of the time from the first
    request of ``submissions`` to their last charge.
    """

    start: float  #: seconds since the epoch
    submissions: Sequence[Submission]  #: as fast as the connections allow
    alone: Sequence[Submission]  #: one after another
    paced: Sequence[Submission]  #: at half of the throughput
    charges: Sequence[tuple[str, float]]  #: from stub.charges
    cpu: Mapping[str, float]  #: seconds by process
    yardstick: float  #: CPU seconds of the load generator and of Stripe
    others: float  #: cores used by other programs
    memory: Mapping[str, int]  #: bytes by process, at the peak of their sum
    counts: Counts


def judge(
    side: str, number: int, window: Window, stored: Mapping[str, Stored] | None
) -> Round:
    """The round's figures and faults. ``stored`` has the side's outcomes, if any.

    Raises BenchError if no payment of ``submissions`` was charged.
    """
    everything = (*window.submissions, *window.alone, *window.paced)
    sent = {submission.reference: submission.at for submission in everything}
    charged = {name: at for name, at in window.charges if name in sent}
    faults = _faults(window, everything, charged, stored)
    settled = dict(charged)
    if stored is not None:
        for name in settled.keys() & stored.keys():
            settled[name] = max(settled[name], stored[name].at)

    def taken(
        submissions: Sequence[Submission], until: Mapping[str, float]
    ) -> Percentiles | None:
        names = [one.reference for one in submissions if one.reference in until]
        if not names:
            return None
        return percentiles(until[name] - sent[name] for name in names)

    in_charge = taken(window.submissions, charged)
    if in_charge is None:
        raise BenchError(f"{side}: {'; '.join(faults)}")
    return Round(
        side=side,
        number=number,
        payments=len(window.submissions),
        seconds=max(
            settled[one.reference]
            for one in window.submissions
            if one.reference in settled
        )
        - window.start,
        cpu=window.cpu,
        yardstick=window.yardstick,
        others=window.others,
        memory=window.memory,
        counts=window.counts,
        accepted=percentiles(one.seconds for one in window.submissions),
        charged=in_charge,
        captured=taken(window.submissions, settled) if stored is not None else None,
        half=(
            percentiles(one.seconds for one in window.paced) if window.paced else None
        ),
        lone=taken(window.alone, settled),
        faults=faults,
    )


def _faults(
    window: Window,
    submissions: Sequence[Submission],
    charged: Mapping[str, float],
    stored: Mapping[str, Stored] | None,
) -> tuple[str, ...]:
    """The faults of the round, a sentence each."""
    statuses = Counter(
        str(submission.status or "no answer") for submission in submissions
    )
    refused = {status: count for status, count in statuses.items() if status != "202"}
    found = [f"{count} requests got {status}" for status, count in refused.items()]
    missing = len(submissions) - len(charged)
    if missing:
        found.append(f"{missing} of {len(submissions)} payments were not charged")
    counts = Counter(name for name, _ in window.charges)
    twice = sum(count > 1 for count in counts.values())
    if twice:
        found.append(f"{twice} payments were charged more than once")
    if stored is not None:
        ends = Counter(
            stored[one.reference].status if one.reference in stored else "not found"
            for one in submissions
        )
        wrong = {status: count for status, count in ends.items() if status != CAPTURED}
        found += [f"{count} payments are {status}" for status, count in wrong.items()]
    return tuple(found)
