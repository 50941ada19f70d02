"""The product broken on purpose: whatever the simulation does not see, it cannot prove.

Each mutant is applied to a copy of the packages, and the simulation must fail on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table

ROOT: Final = Path(__file__).parents[2]
#: What a copy is made of.
_COPIED: Final = ("application", "domain", "tests/simulation", "tests/suites")
_FILES: Final = [
    f"tests/{name}.py"
    for name in (
        *("__init__", "fakes", "operator_fakes"),
        *("memory_disputes", "memory_inbox", "memory_store"),
    )
]

#: Random histories that a mutant may live through before it counts as not caught. Most
#: die within some hundred, the last within some thousand; seconds only end a hang.
_HISTORIES: Final = 30_000
_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Mutant:
    """``before`` occurs once in ``file``; ``after`` stands in its place."""

    name: str
    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the simulation saw it, and by what."""

    mutant: Mutant
    caught: bool
    seen: str  #: the promise that was broken, or what went wrong
    seconds: float


MUTANTS: Final = (
    Mutant(
        "claims and settles without a fence",
        "tests/memory_store.py",
        "                if row is None or row.payment.version != payment.version:\n"
        "                    continue",
        "                if row is None:\n                    continue",
    ),
    Mutant(
        "requests appended without a fence",
        "tests/memory_store.py",
        "            if row is None or row.payment.version != payment.version:\n"
        "                return None",
        "            if row is None:\n                return None",
    ),
    Mutant(
        "an answer settled after the lease was lost",
        "tests/memory_store.py",
        "if one.claim and one.claim.fence == fences[one.id]]",
        "if one.claim]",
    ),
    Mutant(
        "a call made without its send written down",
        "application/attempt.py",
        "    won = tools.store.claim_many(claims)\n",
        "    won = claims\n",
    ),
    Mutant(
        "the payer's approval sent under the key that asked for it",
        "domain/outcome.py",
        "            generation=operation.generation + 1,\n",
        "",
    ),
    Mutant(
        "a call made long after its claim",
        "application/attempt.py",
        "    if claim is None or tools.clock() > claim.at + _CALL_WITHIN:",
        "    if claim is None:",
    ),
    Mutant(
        "an idempotency key not looked up",
        "application/accept.py",
        "        if found.made_by(origin.idempotency_key) is not None:",
        "        if False:",
    ),
    Mutant(
        "a key's second request not compared with its first",
        "application/accept.py",
        "    if made is None or made.origin.fingerprint != origin.fingerprint:",
        "    if made is None:",
    ),
    Mutant(
        "a payment that recovery does not see",
        "application/accept.py",
        "        due_at=max(now + BELL_GRACE, starts),",
        "        due_at=None,",
    ),
    Mutant(
        "a new key for a resend of an unknown",
        "domain/sending.py",
        "        send = replace(send, last_at=now)",
        '        send = replace(send, last_at=now, key=f"{send.key}-{attempt}")',
    ),
    Mutant(
        "a new key for every retry",
        "domain/sending.py",
        "            key=operation.key,",
        '            key=f"{operation.key}-{attempt}",',
    ),
    Mutant(
        "another body for the same key",
        "domain/sending.py",
        "        send = replace(send, last_at=now)",
        '        send = replace(send, last_at=now, body=send.body + " ")',
    ),
    Mutant(
        "a resend after the window",
        "domain/operation.py",
        "        return now >= self.send.window_ends_at",
        "        return False",
    ),
    Mutant(
        "absence believed at once",
        "domain/operation.py",
        "PROOF_AFTER: Final = timedelta(minutes=10)",
        "PROOF_AFTER: Final = timedelta(0)",
    ),
    Mutant(
        "absence of the time when it is written down",
        "domain/looking.py",
        "    if asked_at < send.last_at + PROOF_AFTER:",
        "    if now < send.last_at + PROOF_AFTER:",
    ),
    Mutant(
        "a dead worker's send taken for not sent",
        "domain/states.py",
        "    (State.RUNNING, Trigger.LEASE_EXPIRED): State.UNKNOWN,",
        "    (State.RUNNING, Trigger.LEASE_EXPIRED): State.RETRYING,",
    ),
    Mutant(
        "a lost answer taken for not executed",
        "domain/settling.py",
        "        if isinstance(error, NotExecuted)\n",
        "        if isinstance(error, ProviderError)\n",
    ),
    Mutant(
        "a bare no believed while unknown",
        "domain/settling.py",
        "    if not answer.refs or answer.verdict is Verdict.REJECTED:\n"
        "        return False\n",
        "    return True\n",
    ),
    Mutant(
        "an unknown failed by a timer",
        "domain/looking.py",
        '        return _puzzled(payment, operation, "nothing_found", outcome, now)',
        "        no = Answer(Verdict.DECLINED)\n"
        '        return applied(payment, operation, no, "look.answered", now=now)',
    ),
    Mutant(
        "captures that reserve nothing",
        "domain/payment.py",
        "self.authorized - self.captured - self.capture_reserved)",
        "self.authorized - self.captured)",
    ),
    Mutant(
        "refunds that reserve nothing",
        "domain/payment.py",
        "        taken = sum(one.moved or one.reserved for one in back)",
        "        taken = sum(one.moved for one in back)",
    ),
    Mutant(
        "a rest left on hold where the card takes one capture",
        "domain/requests.py",
        "    releases = wants_release or not payment.takes_parts",
        "    releases = wants_release",
    ),
    Mutant(
        "a reservation given back while unknown",
        "domain/operation.py",
        "        return 0 if self.ended else self.amount",
        "        return self.amount if self.state is State.QUEUED else 0",
    ),
    Mutant(
        "a reference that guards nothing",
        "domain/payment.py",
        "        return held or taking or kept",
        "        return False",
    ),
    Mutant(
        "an event that is not told",
        "domain/payment.py",
        "            news=(*self.news, Event(seq, event, now, told)),",
        "            news=(Event(seq, event, now, told),),",
    ),
    Mutant(
        "a webhook believed",
        "domain/notice.py",
        "    asked = operation if _look_is_due(operation, now) else "
        "operation.to_look(now=now)\n",
        '    done = {"state": State.SUCCEEDED, "moved": operation.amount}\n'
        "    asked = replace(operation, **done)\n",
    ),
    Mutant(
        "a look before a send that forgets the send",
        "domain/looking.py",
        "    owed = replace(operation, due_at=now, look_since=None, looks=0)",
        "    owed = replace(operation, due_at=None, look_since=None, looks=0)",
    ),
    Mutant(
        "a lost answer that goes on to another account",
        "domain/routing.py",
        "    if isinstance(outcome, (NotSent, Misconfigured)):",
        "    if isinstance(outcome, ProviderError):",
    ),
    Mutant(
        "an unknown that goes on to another account",
        "domain/routing.py",
        "    running = operation.state is State.RUNNING\n",
        "    operation, running = replace(operation, state=State.RUNNING), True\n",
    ),
    Mutant(
        "a review replayed with a new key",
        "domain/intervening.py",
        "    again = replace(operation, due_at=now, ",
        "    new = replace(operation, generation=operation.generation + 1, send=None)\n"
        "    again = replace(new, due_at=now, ",
    ),
)


def table(*, processes: int) -> tuple[Table, int]:
    """Runs every mutant; the table of them, and how many lived."""
    found = Table("mutant", "in", "caught", "seconds", "by")
    lived = 0
    with ThreadPoolExecutor(processes) as pool:
        for verdict in pool.map(judged, MUTANTS):
            lived += not verdict.caught
            found.add_row(
                verdict.mutant.name,
                verdict.mutant.file,
                "yes" if verdict.caught else "NO",
                f"{verdict.seconds:.1f}",
                verdict.seen,
            )
    return found, lived


def judged(mutant: Mutant) -> Verdict:
    """Runs the simulation on a copy that has ``mutant`` in it.

    Only an exit code of 1, by a broken promise, counts: a copy that does not even
    start proves nothing.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        copied(copy)
        mutate(copy, mutant)
        code, seen = simulated(copy)
    return Verdict(mutant, code == 1, seen, time.monotonic() - started)


def copied(into: Path) -> None:
    """The packages that the simulation needs, below ``into``."""
    for name in _COPIED:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, into / name, ignore=without)
    for name in _FILES:
        shutil.copy(ROOT / name, into / name)


def mutate(copy: Path, mutant: Mutant) -> None:
    """Changes the copy. Raises ValueError where the text is not there exactly once."""
    path = copy / mutant.file
    text = path.read_text()
    found = text.count(mutant.before)
    if found != 1:
        raise ValueError(f"{mutant.name}: {found} times in {mutant.file}, not once")
    path.write_text(text.replace(mutant.before, mutant.after))


def simulated(copy: Path, *, histories: int = _HISTORIES) -> tuple[int, str]:
    """The exit code of random histories in ``copy``, and the promise they broke."""
    command = [sys.executable, "-m", "tests.simulation", "--random-only"]
    command += ["--processes", "1", "--histories", str(histories)]
    # Only the copy is on the path, and what pip has installed is seen after it.
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 0, f"nothing within {_SECONDS:.0f} s"
    said = [line for line in done.stdout.splitlines() if _BROKEN in line]
    if done.returncode == 1 and not said:
        return 2, (done.stderr or done.stdout).strip()[-200:]
    return done.returncode, said[-1].strip() if said else done.stdout.strip()[-200:]


#: How a violation is written.
_BROKEN: Final = "Violation("
