"""`make demo`: starts a stack, submits payments, injects two faults, plays scenes, and
checks the results.

It uses a folder of its own, emptied at each start, and only public interfaces: the
command line, HTTP, and the simulators' controls.
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
from scenes import Shop, play, print_timeline

HOME: Final = Path(".payments/demo")
STOP: Final = f"PAYMENTS_HOME={HOME} .venv/bin/payments down"
PAYMENTS: Final = Path(__file__).with_name("payments.ndjson")
#: The payment whose timeline is shown at the end.
SHOWN: Final = "order-1026"
#: Movements of requested operations, without those of disputes.
KINDS: Final = frozenset({"charge", "authorize", "capture", "void", "refund"})
#: Seconds for all payments to end, the outage included; they usually need five.
WAIT: Final = 60

#: Stripe refuses connections for a while. PayPal carries orders out and sends no
#: answer, the classic cause of double charges. These are the first orders in the file.
#: PayPal's declined order comes later, because a lost answer followed by a declined
#: resend needs manual review.
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
            " drop its answers"
        )
        say(f"Submitting {PAYMENTS.name}, and waiting for each payment to end")
        payments("submit", str(PAYMENTS), "--wait", str(WAIT))
        say("Payers, the shop and banks now continue some of the payments")
        shop = Shop(urls, (HOME / "keys/demo_test_key").read_text().strip())
        played = play(shop)
        say(f"The timeline of {SHOWN}; `payments show ID` gives details")
        print_timeline(shop, shop.find(SHOWN))
        return 0 if judge(shop) and played else 1
    finally:
        # Before any output, because its reader may be gone.
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
    """Ends the demo on TERM as on Ctrl-C, so that the stack is stopped."""
    raise KeyboardInterrupt


def say(text: str) -> None:
    """Prints one line of progress."""
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("The demo was interrupted.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader has closed the pipe (`| head`), so nothing may be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (subprocess.CalledProcessError, requests.RequestException) as error:
        reason = str(error)
        if isinstance(error, subprocess.CalledProcessError):
            reason = f"`payments {error.cmd[1]}` exited with {error.returncode}"
        logs = HOME / "logs"
        print(f"The demo failed: {reason}. The logs are in {logs}", file=sys.stderr)
        sys.exit(1)
