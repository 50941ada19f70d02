"""Submits a file of payments. Repeated submissions of a file make no second payment.

A line without a key gets one from its content and from the number of equal lines before
it in the file. So the same line twice in one file is two payments, and the same line in
another file is the same payment.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cli.client import Api, document, wait_until_settled, describe_problem
from domain.payments.states import Status
from local_stack.state import StackError

#: Concurrent submissions: enough to keep a service busy, few enough for its threads.
IN_FLIGHT: Final = 8
#: Levels of objects and lists in a line; a payment has four.
MAX_DEPTH: Final = 16
#: Invalid lines that an error names.
MAX_NAMED: Final = 5

#: An unquoted idempotency key: printable ASCII, no space at either end.
_KEY: Final = re.compile(r"[!#-~](?:[ -~]{0,253}[!-~])?")
#: Final states without a payment; ``expect`` can name one as the expected state.
_UNSUCCESSFUL: Final = frozenset({Status.FAILED, Status.EXPIRED, Status.CANCELED})
_WRAPPER: Final = frozenset({"idempotency_key", "payment", "expect"})
_FORM: Final = (
    "write a JSON object, either a payment"
    ' or {"idempotency_key": …, "payment": {…}, "expect": …}'
)


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the file."""

    line: int  #: counted from 1
    key: str  #: the idempotency key
    body: dict[str, Any]
    expect: str | None = None  #: the expected status


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a job.

    ``ok`` means that the payment was accepted and, after a wait, has the expected
    status. Without an expectation it means that the payment has not failed, expired or
    been canceled.
    """

    line: int
    reference: str | None
    provider: str | None  #: the payment's; the job's if it was not accepted
    amount: int | None  #: minor units
    currency: str | None
    id: str | None
    status: str | None  #: None if it was not accepted
    error: str | None
    expected: str | None
    is_repeat: bool
    ok: bool


def read_jobs(lines: Iterable[bytes]) -> list[Job]:
    """Parses NDJSON ``lines`` in UTF-8; empty lines are skipped.

    All lines are parsed before any is sent. Raises StackError that names the invalid
    lines and their errors.
    """
    jobs: list[Job] = []
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        try:
            # Some editors begin a file with a byte order mark.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                jobs.append(_job(number, _DECODER.decode(text.strip()), seen))
        except (ValueError, RecursionError) as error:
            wrong.append(f"line {number} is not a payment: {_describe_error(error)}")
    if wrong:
        more = f"; and {len(wrong) - MAX_NAMED} more" if len(wrong) > MAX_NAMED else ""
        raise StackError(f"{'; '.join(wrong[:MAX_NAMED])}{more}. Nothing was sent")
    return jobs


def submit(
    api: Api,
    jobs: list[Job],
    *,
    wait: float,
    progress: Callable[[Outcome], None],
) -> list[Outcome]:
    """Submits all jobs and waits at most ``wait`` seconds until they are settled.

    ``progress`` gets each outcome at once. The result is in the order of the lines.
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
    """Parses a job. Raises ValueError with the reason if ``found`` is not one."""
    if not isinstance(found, dict):
        raise ValueError(_FORM)
    if _depth(found) > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if not _WRAPPER & found.keys():
        return Job(number, _derive_key(found, seen), found)
    body = found.get("payment")
    if not isinstance(body, dict):
        raise ValueError(_FORM)
    unknown = sorted(found.keys() - _WRAPPER)
    if unknown:
        raise ValueError(f"{json.dumps(unknown[0])} is unknown beside the payment")
    expect = found.get("expect")
    if expect is not None and expect not in list(Status):
        raise ValueError(f"expect must be one of {', '.join(Status)}")
    if "idempotency_key" not in found:
        return Job(number, _derive_key(body, seen), body, expect)
    key = found["idempotency_key"]
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(
            "idempotency_key must be 1 to 255 printable ASCII characters, with no"
            " space at either end and no quotation mark at the beginning"
        )
    return Job(number, key, body, expect)


def _derive_key(body: dict[str, Any], seen: Counter[str]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    seen[canonical] += 1
    # The same line twice means two payments; the same file twice does not.
    named = f"{canonical}\n{seen[canonical]}".encode()
    return f"file-{hashlib.sha256(named).hexdigest()[:40]}"


def _depth(value: Any) -> int:
    """Counts the levels of ``value`` without recursion, which depth could break."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _describe_error(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg} at column {error.colno}); {_FORM}"
    return str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"{json.dumps(names.most_common(1)[0][0])} is given twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("it has a number that is too large")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


#: As strict as the service; Python's default decoder accepts more.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse
)


def _carry_out(api: Api, job: Job, deadline: float | None) -> Outcome:
    payment = None
    is_repeat = False
    error = None
    try:
        answer = api.submit(job.body, key=job.key)
        if answer.status_code != 202:
            return _outcome(job, None, error=describe_problem(answer))
        is_repeat = answer.headers.get("Idempotent-Replayed") == "true"
        payment = document(answer)
        if deadline is not None:
            payment = wait_until_settled(api, payment, deadline=deadline)
    except StackError as problem:
        error = str(problem)
    except Exception as unforeseen:  # one line's error must not hide the others
        error = f"{type(unforeseen).__name__}: {unforeseen}"
    waited = deadline is not None
    return _outcome(job, payment, error=error, is_repeat=is_repeat, waited=waited)


def _outcome(
    job: Job,
    payment: dict[str, Any] | None,
    *,
    error: str | None = None,
    is_repeat: bool = False,
    waited: bool = False,
) -> Outcome:
    status = payment.get("status") if payment else None
    routed = payment.get("provider") if payment else None
    last = payment.get("last_error") if payment else None
    if job.expect is None:
        as_expected = status not in _UNSUCCESSFUL
    else:
        as_expected = not waited or status == job.expect
    return Outcome(
        line=job.line,
        reference=job.body.get("reference"),
        provider=routed or job.body.get("provider"),
        amount=job.body.get("amount"),
        currency=job.body.get("currency"),
        id=payment.get("id") if payment else None,
        status=status,
        error=error or (last.get("decline_code") or last.get("code") if last else None),
        expected=job.expect,
        is_repeat=is_repeat,
        ok=payment is not None and error is None and as_expected,
    )
