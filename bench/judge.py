"""The result of a round: its figures and its faults. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.errors import BenchError
from bench.figures import Round, percentiles
from bench.load import Submission
from bench.sides import Stored

#: The required final status of our payments.
CAPTURED: Final = "captured"


@dataclass(frozen=True, slots=True)
class Window:
    """The observations from the first request to the last charge."""

    start: float  #: seconds since the epoch
    submissions: Sequence[Submission]
    charges: Sequence[tuple[str, float]]  #: from stripe.charges
    cpu: Mapping[str, float]  #: seconds by process
    yardstick: float  #: CPU seconds of the simulator
    others: float  #: cores used by other programs


def judge(
    side: str, number: int, window: Window, stored: Mapping[str, Stored] | None
) -> Round:
    """The round's figures and faults. ``stored`` has the side's outcomes, if any.

    Raises BenchError if nothing was charged.
    """
    sent = {submission.reference: submission.at for submission in window.submissions}
    charged = {name: at for name, at in window.charges if name in sent}
    faults = _faults(window, sent, charged, stored)
    settled = dict(charged)
    if stored is not None:
        for name in settled.keys() & stored.keys():
            settled[name] = max(settled[name], stored[name].at)
    if not charged:
        raise BenchError(f"{side}: {'; '.join(faults)}")
    return Round(
        side=side,
        number=number,
        payments=len(window.submissions),
        seconds=max(settled.values()) - window.start,
        cpu=window.cpu,
        yardstick=window.yardstick,
        others=window.others,
        accepted=percentiles(submission.seconds for submission in window.submissions),
        charged=percentiles(charged[name] - sent[name] for name in charged),
        captured=(
            percentiles(settled[name] - sent[name] for name in settled)
            if stored is not None
            else None
        ),
        faults=faults,
    )


def _faults(
    window: Window,
    sent: Mapping[str, float],
    charged: Mapping[str, float],
    stored: Mapping[str, Stored] | None,
) -> tuple[str, ...]:
    """The faults of the round, a sentence each."""
    statuses = Counter(
        str(submission.status or "no answer") for submission in window.submissions
    )
    refused = {status: count for status, count in statuses.items() if status != "202"}
    found = [f"{count} requests got {status}" for status, count in refused.items()]
    missing = len(sent) - len(charged)
    if missing:
        found.append(f"{missing} of {len(sent)} payments were not charged")
    counts = Counter(name for name, _ in window.charges)
    twice = sum(count > 1 for count in counts.values())
    if twice:
        found.append(f"{twice} payments were charged more than once")
    if stored is not None:
        ends = Counter(
            stored[name].status if name in stored else "not found" for name in sent
        )
        wrong = {status: count for status, count in ends.items() if status != CAPTURED}
        found += [f"{count} payments are {status}" for status, count in wrong.items()]
    return tuple(found)
