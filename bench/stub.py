"""The Stripe of all sides, and its ledger.

It is nginx with the Lua module if both are installed, because that takes a twentieth of
the simulator's CPU. Otherwise it is the simulator.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import requests

from bench.children import LOOPBACK, free_port, listens, running
from bench.load import AMOUNT, CURRENCY, METHOD

CONFIGURATION: Final = Path(__file__).with_name("stub.conf")
#: The folder of nginx's modules in Debian's packages nginx and libnginx-mod-http-lua.
MODULES: Final = Path("/usr/lib/nginx/modules")
#: Seconds for one call to the simulator, and for the check of nginx.
TIMEOUT: Final = 10.0
#: The expanded part of an answer that the product requests.
CHARGE: Final = "latest_charge.balance_transaction"


@dataclass(frozen=True, slots=True)
class Stub:
    """A running Stripe."""

    kind: str  #: nginx or simulator
    url: str
    pid: int


def has_nginx() -> bool:
    """Whether nginx and its Lua module are installed."""
    lua = MODULES / "ngx_http_lua_module.so"
    return shutil.which("nginx") is not None and lua.exists()


@contextmanager
def serving(home: Path, latency: float, *, nginx: bool | None = None) -> Iterator[Stub]:
    """A fresh Stripe with its files in ``home``; its calls take ``latency`` seconds.

    ``nginx`` chooses the program; None means nginx if it is installed.
    """
    home.mkdir(parents=True)
    if not (has_nginx() if nginx is None else nginx):
        with _simulator(home, latency) as stub:
            yield stub
        return
    with _simulator(home, latency=0.0) as simulator:
        for name, expand in (("plain", {}), ("expanded", {"expand[0]": CHARGE})):
            (home / f"{name}.json").write_text(_record(simulator.url, expand))
    port = free_port()
    values = {"MODULES": MODULES, "PORT": port, "LATENCY": latency, "AMOUNT": AMOUNT}
    text = CONFIGURATION.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    (home / "nginx.conf").write_text(text)
    command = ("nginx", "-p", home, "-c", "nginx.conf", "-e", "stderr")
    ready = partial(listens, port)
    with running(command, log=home / "nginx.log", ready=ready) as pid:
        yield Stub("nginx", f"http://{LOOPBACK}:{port}", pid)


def describe() -> str:
    """The program that plays Stripe, with its version."""
    if not has_nginx():
        return "the simulator"
    version = subprocess.run(
        ["nginx", "-v"], capture_output=True, text=True, check=True, timeout=TIMEOUT
    ).stderr.rpartition("/")[2]
    return f"nginx {version.strip()} with Lua"


async def charges(
    session: aiohttp.ClientSession, stripe_url: str, *, after: int
) -> list[tuple[str, float]]:
    """The reference and time (seconds since the epoch) of each charge in the ledger,
    without the first ``after`` rows.
    """
    address = f"{stripe_url}/_ledger"
    async with session.get(address, params={"after": after}) as answer:
        answer.raise_for_status()
        movements: list[dict[str, Any]] = (await answer.json())["movements"]
    return [
        (row["metadata"]["reference"], datetime.fromisoformat(row["at"]).timestamp())
        for row in movements
        if row["kind"] == "charge"
    ]


@contextmanager
def _simulator(home: Path, latency: float) -> Iterator[Stub]:
    port = free_port()
    command = (
        *(sys.executable, "-m", "simulators", "stripe", "--port", str(port)),
        *("--latency", str(latency)),
    )
    ready = partial(listens, port)
    with running(command, log=home / "simulator.log", ready=ready) as pid:
        yield Stub("simulator", f"http://{LOOPBACK}:{port}", pid)


def _record(url: str, expand: dict[str, str]) -> str:
    """The simulator's answer to a payment, as a template of nginx's.

    ``@metadata@`` stands for the request's metadata, and ``@number@`` for the number
    of the charge, in every id.
    """
    form = {
        "amount": str(AMOUNT),
        "currency": CURRENCY.lower(),
        "confirm": "true",
        "payment_method": METHOD,
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        **expand,
    }
    headers = {
        "Authorization": "Bearer sk_test_simulator",
        "Idempotency-Key": f"recorded-{len(expand)}",
    }
    answer = requests.post(
        f"{url}/v1/payment_intents", data=form, headers=headers, timeout=TIMEOUT
    )
    answer.raise_for_status()
    intent = answer.json()
    intent["metadata"] = "@metadata@"
    charge = intent["latest_charge"]
    ids = {"pi": intent["id"], "ch": charge}
    if expand:
        charge["metadata"] = "@metadata@"
        ids = {**ids, "ch": charge["id"], "txn": charge["balance_transaction"]["id"]}
    text = json.dumps(intent).replace('"@metadata@"', "@metadata@")
    for prefix, found in ids.items():
        text = text.replace(found, f"{prefix}_stub@number@")
    return text
