"""What `make demo` runs: a whole stack, real payments, two faults, a verdict.

Everything happens in a folder of its own, which is made anew each time, and over the
same interfaces that anybody has: the command line, HTTP, and the simulators' controls.
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

HOME: Final = Path(".payments/demo")
STOP: Final = f"PAYMENTS_HOME={HOME} .venv/bin/payments down"
PAYMENTS: Final = Path(__file__).with_name("payments.ndjson")
#: Seconds for all payments to end, the outage included; they usually need five.
WAIT: Final = 60

#: Stripe refuses connections for a while; PayPal carries orders out and then says
#: nothing, which is the fault that tempts others to charge twice.
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "stripe": {"do": "refuse", "seconds": 3},
    "paypal": {
        "do": "commit_then_drop",
        "times": 2,
        "match": {"method": "POST", "path": "/v2/checkout/orders"},
    },
}


def main() -> int:
    """0 where every payment came out as expected, and each charge once."""
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
        return judge(urls)
    finally:
        # First of all, for nobody may be left who reads what we say.
        payments("down", stdout=subprocess.DEVNULL)
        say("The stack is stopped")


def judge(urls: dict[str, str]) -> int:
    """Compares what the providers moved with what was expected to be captured."""
    lines = [json.loads(line) for line in PAYMENTS.read_text().splitlines()]
    wanted = sum(line["expect"] == "captured" for line in lines)
    charges = Counter(
        movement["key"]
        for provider in FAULTS
        for movement in requests.get(f"{urls[provider]}/_ledger", timeout=5).json()[
            "movements"
        ]
    )
    twice = sum(count > 1 for count in charges.values())
    say(
        f"The providers' ledgers hold {charges.total()} charges for {wanted} captured"
        f" payments, {twice} of them twice"
    )
    return 0 if charges.total() == wanted and not twice else 1


def payments(*arguments: str, stdout: int | None = None, check: bool = True) -> str:
    """Runs the command line on the demo's stack; what it printed, where piped."""
    environment = {"PAYMENTS_HOME": str(HOME), "PAYMENTS_HTTP_PORT": "0"}
    command = Path(sys.executable).with_name("payments")
    done = subprocess.run(
        [command, *arguments],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=None if check else subprocess.DEVNULL,
        text=True,
        check=check,
    )
    return done.stdout or ""


def stop(*_: object) -> None:
    """TERM ends the demo as Ctrl-C does: with its stack stopped."""
    raise KeyboardInterrupt


def say(what: str) -> None:
    """One line of the story."""
    print(f"· {what}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("The demo was interrupted.", file=sys.stderr)
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        logs = HOME / "logs"
        print(f"The demo failed: {error}. The logs are in {logs}", file=sys.stderr)
        sys.exit(1)
