"""What `make demo` runs: a whole stack, payments, two faults, scenes, a verdict.

Everything happens in its own folder, which is made anew each time, and over the
public interfaces: the command line, HTTP, and the simulators' controls.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import requests
from scenes import Shop, play, tell

HOME: Final = Path(".payments/demo")
STOP: Final = f"PAYMENTS_HOME={HOME} .venv/bin/payments down"
PAYMENTS: Final = Path(__file__).with_name("payments.ndjson")
#: The payment whose timeline is shown at the end.
TOLD: Final = "order-1026"
#: Movements of requested operations; a dispute's are not requested.
KINDS: Final = frozenset({"charge", "authorize", "capture", "void", "refund"})
#: Seconds for all payments to end, the outage included; they usually need five.
WAIT: Final = 60

#: Stripe refuses connections for a while; PayPal carries orders out and sends no
#: answer, which is the classic cause of double charges. They are among the
#: first: PayPal's declined order comes late in the file, because a send whose
#: resend is declined needs manual review.
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "stripe": {"do": "refuse", "seconds": 3},
    "paypal": {
        "do": "commit_then_drop",
        "times": 2,
        "match": {"method": "POST", "path": "/v2/checkout/orders"},
    },
}


def main() -> int:
    """0 if every payment ended as expected, with each charge once."""
    if payments("status", "--json", stdout=subprocess.PIPE, check=False):
        print(f"A demo runs already; {STOP} ends it.", file=sys.stderr)
        return 1
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        say("Starting the stack: Redis, MongoDB, both simulators, web, worker, beat")
        payments("up", "--detach", stdout=subprocess.DEVNULL)
        urls = json.loads(payments("status", "--json", stdout=subprocess.PIPE))["urls"]
        say(f"It serves {urls['api']} (API), {urls['docs']} (documentation)")
        for provider, fault in FAULTS.items():
            requests.post(f"{urls[provider]}/_faults", json=fault, timeout=5)
        say(
            "Stripe now refuses connections for 3 s; PayPal will carry 2 orders out and"
            " drop the answer"
        )
        say(f"Submitting {PAYMENTS.name}, and waiting for each payment to end")
        payments("submit", str(PAYMENTS), "--wait", str(WAIT))
        say("Now payers, shop and banks go on with some of them")
        shop = Shop(urls, (HOME / "keys/demo_test_key").read_text().strip())
        played = play(shop)
        say(f"The timeline of {TOLD}; `payments show ID` tells more")
        tell(shop, shop.named(TOLD))
        return 0 if judge(shop) and played else 1
    finally:
        # First of all, because the output may have no reader any more.
        payments("down", stdout=subprocess.DEVNULL)
        say("The stack is stopped")


def judge(shop: Shop) -> bool:
    """Whether the providers moved money once for each succeeded operation."""
    moved: Counter[str] = Counter()
    for provider in FAULTS:
        ledger = requests.get(f"{shop.urls[provider]}/_ledger", timeout=5).json()
        rows = (row for row in ledger["movements"] if row["kind"] in KINDS)
        moved.update(row["key"] for row in rows)
    done = sum(
        operation["state"] == "succeeded"
        for payment in shop.payments()
        for operation in payment["operations"]
    )
    twice = sum(count > 1 for count in moved.values())
    say(
        f"The providers' ledgers hold {moved.total()} movements for {done} operations"
        f" that succeeded, {twice} of them twice"
    )
    return moved.total() == done and not twice


def payments(*arguments: str, stdout: int | None = None, check: bool = True) -> str:
    """Runs the command line on the demo's stack and returns its piped output."""
    environment = {"PAYMENTS_HOME": str(HOME), "PAYMENTS_HTTP_PORT": "0"}
    command = Path(sys.executable).with_name("payments")
    done = subprocess.run(
        [str(command), *arguments],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=None if check else subprocess.DEVNULL,
        text=True,
        check=check,
    )
    return done.stdout or ""


def stop(*_: object) -> None:
    """TERM ends the demo like Ctrl-C: with a stopped stack."""
    raise KeyboardInterrupt


def say(what: str) -> None:
    """Prints one line of progress."""
    print(f"· {what}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("The demo was interrupted.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader has closed the pipe (`| head`); nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (subprocess.CalledProcessError, requests.RequestException) as error:
        why = str(error)
        if isinstance(error, subprocess.CalledProcessError):
            why = f"`payments {error.cmd[1]}` exited with {error.returncode}"
        logs = HOME / "logs"
        print(f"The demo failed: {why}. The logs are in {logs}", file=sys.stderr)
        sys.exit(1)
