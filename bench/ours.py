"""The product, by its command line and its API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import requests

from bench import servers
from bench.children import ROOT, undisturbed
from bench.errors import BenchError
from bench.servers import Servers
from bench.sides import Role, Running, Side, Stored

#: Processes of a stack that do not carry payments out.
SIMULATORS: Final = frozenset({"stripe", "paypal"})
#: Seconds for a command: longer than the limit of `payments up` itself.
COMMAND_WAIT: Final = 180.0
#: Payments on a page: the API's limit.
PAGE: Final = 100
#: Seconds to wait for one answer of the API.
TIMEOUT: Final = 10.0


@contextmanager
def running(home: Path, stripe_url: str) -> Iterator[Running]:
    """A whole stack in ``home`` that calls Stripe at ``stripe_url``."""
    with servers.serving(home, mongo=True) as found:
        # Settings in the environment are for another stack.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PAYMENTS_")
        }
        environment |= {
            "PAYMENTS_HOME": str(home / "stack"),
            "PAYMENTS_HTTP_PORT": "0",
            "PAYMENTS_STRIPE_API_BASE": stripe_url,
            "PAYMENTS_REDIS_URL": found.redis_url,
            "PAYMENTS_MONGO_URL": str(found.mongo_url),
        }
        try:
            yield _start(environment, found)
        except BaseException:
            # The first failure is the one to report.
            with undisturbed(), suppress(BenchError):
                _payments(environment, "down")
            raise
        with undisturbed():
            _payments(environment, "down")


def _start(environment: Mapping[str, str], found: Servers) -> Running:
    ready = json.loads(_payments(environment, "up", "--detach").splitlines()[-1])
    status = json.loads(_payments(environment, "status", "--json"))
    programs = {
        row["name"]: row["pid"]
        for row in status["processes"]
        if row["name"] not in SIMULATORS
    }
    key = Path(ready["key_file"]).read_text().strip()
    url = f"{ready['urls']['api']}/v1/payments"
    headers = {"Authorization": f"Bearer {key}"}
    return Running(
        url=url,
        headers=headers,
        processes={**programs, **found.processes},
        counts=found.counts,
        stored=lambda: _stored(url, headers),
    )


def _payments(environment: Mapping[str, str], *arguments: str) -> str:
    """The command's output. Raises BenchError if it failed."""
    process = subprocess.Popen(
        [Path(sys.executable).with_name("payments"), *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=COMMAND_WAIT)
    except BaseException:
        # INT makes it stop the processes that it has started.
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=COMMAND_WAIT)
        raise
    if process.returncode:
        raise BenchError(f"`payments {' '.join(arguments)}` failed: {errors.strip()}")
    return output


def _stored(url: str, headers: Mapping[str, str]) -> dict[str, Stored]:
    """Reads every payment, page by page, and returns its outcome by reference."""
    found: dict[str, Stored] = {}
    query: dict[str, Any] | None = {"limit": PAGE}
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(headers)
        while query is not None:
            answer = session.get(url, params=query, timeout=TIMEOUT)
            answer.raise_for_status()
            page = answer.json()
            for payment in page["data"]:
                at = datetime.fromisoformat(payment["updated_at"]).timestamp()
                found[payment["reference"]] = Stored(payment["status"], at)
            more = page["has_more"]
            query = {"limit": PAGE, "cursor": page["next_cursor"]} if more else None
    return found


OURS: Final = Side("ours", "payment-jobs", Role.OURS, running)
