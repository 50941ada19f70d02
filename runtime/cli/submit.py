"""Submits a file of payments: each line once, however often the file is submitted."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

from runtime.cli.api_client import Api, settled, words
from runtime.stack.state import StackError

#: Submissions in flight: enough to keep a service busy, few enough for its threads.
IN_FLIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the file."""

    line: int  #: counted from 1
    key: str  #: its idempotency key
    body: dict[str, Any]
    expect: str | None = None  #: the status it should come to


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. ``ok``: accepted, and as expected where we waited."""

    line: int
    reference: str | None
    provider: str | None
    amount: int | None  #: minor units
    currency: str | None
    id: str | None
    status: str | None  #: None where it was not accepted
    error: str | None
    expected: str | None
    replayed: bool
    ok: bool


def read_jobs(lines: Iterable[str]) -> list[Job]:
    """The jobs of NDJSON ``lines``; empty ones are skipped.

    Raises StackError, naming the line, where one is no job.
    """
    jobs = []
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            jobs.append(_job(number, json.loads(line), seen))
        except (ValueError, TypeError):
            raise StackError(
                f"line {number} is no payment: write a JSON object, either a payment"
                ' or {"idempotency_key": …, "payment": {…}, "expect": …}'
            ) from None
    return jobs


def submit(
    api: Api,
    jobs: list[Job],
    *,
    wait: float,
    progress: Callable[[Outcome], None],
) -> list[Outcome]:
    """Submit all, a few at a time, and wait at most ``wait`` seconds for their ends.

    ``progress`` is called with each outcome as it comes; the result is in order.
    """
    deadline = time.monotonic() + wait
    outcomes = []
    with ThreadPoolExecutor(IN_FLIGHT, "submit") as threads:
        running = [
            threads.submit(_carry_out, api, job, deadline if wait else None)
            for job in jobs
        ]
        for done in as_completed(running):
            outcomes.append(done.result())
            progress(outcomes[-1])
    return sorted(outcomes, key=lambda outcome: outcome.line)


def _job(number: int, found: Any, seen: Counter[str]) -> Job:
    if not isinstance(found, dict):
        raise TypeError
    body = found.get("payment", found)
    if not isinstance(body, dict):
        raise TypeError
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    seen[canonical] += 1
    # The same line twice means two payments; the same file twice does not.
    derived = f"{canonical}\n{seen[canonical]}".encode()
    key = found.get("idempotency_key") if body is not found else None
    return Job(
        line=number,
        key=str(key or f"file-{hashlib.sha256(derived).hexdigest()[:40]}"),
        body=body,
        expect=found.get("expect") if body is not found else None,
    )


def _carry_out(api: Api, job: Job, deadline: float | None) -> Outcome:
    try:
        answer = api.submit(job.body, key=job.key)
        if answer.status_code != 202:
            return _outcome(job, None, error=words(answer))
        payment = dict(answer.json())
        if deadline is not None:
            payment = settled(api, payment, deadline=deadline)
    except StackError as error:
        return _outcome(job, None, error=str(error))
    replayed = answer.headers.get("Idempotent-Replayed") == "true"
    return _outcome(job, payment, replayed=replayed, waited=deadline is not None)


def _outcome(
    job: Job,
    payment: dict[str, Any] | None,
    *,
    error: str | None = None,
    replayed: bool = False,
    waited: bool = False,
) -> Outcome:
    status = payment["status"] if payment else None
    last = payment.get("last_error") if payment else None
    as_expected = not waited or job.expect is None or status == job.expect
    return Outcome(
        line=job.line,
        reference=job.body.get("reference"),
        provider=job.body.get("provider"),
        amount=job.body.get("amount"),
        currency=job.body.get("currency"),
        id=payment["id"] if payment else None,
        status=status,
        error=error or (last.get("decline_code") or last.get("code") if last else None),
        expected=job.expect,
        replayed=replayed,
        ok=payment is not None and as_expected,
    )
