"""Run one simulator: ``python -m simulators stripe|paypal``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from simulators import control, drift
from simulators.clock import Clock
from simulators.faults import Faults
from simulators.idempotency import IdempotencyKeys
from simulators.ledger import Ledger
from simulators.paypal import api as paypal
from simulators.paypal import signing
from simulators.provider import Provider, World
from simulators.rate_limit import MAX_RATE
from simulators.server import Server
from simulators.stripe import api as stripe
from simulators.webhooks import Sign, Webhooks


def main() -> None:
    """Serve until TERM or INT; print one line of JSON once the port is open."""
    asyncio.run(_serve(parse_options(sys.argv[1:])))


def parse_options(options: Sequence[str]) -> argparse.Namespace:
    """Parses the command's options. Exits with 2 where one is invalid."""
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    parser.add_argument("provider", choices=("stripe", "paypal"))
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time each API call takes before it is carried out",
    )
    parser.add_argument(
        "--rate-limit",
        type=float,
        default=0.0,
        metavar="N",
        help="API calls a second that an account may make; 0, the default: any number",
    )
    parser.add_argument("--webhook-url", metavar="URL", help="send webhooks there")
    parser.add_argument(
        "--webhook-secret",
        metavar="S",
        help="signing secret at Stripe, webhook id at PayPal",
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="FILE",
        help="keep PayPal's signing keys there, so that a later run has the same ones",
    )
    arguments = parser.parse_args(options)
    if not 0 <= arguments.latency <= 3600:
        parser.error("--latency must be between 0 and 3600")
    if not 0 <= arguments.rate_limit <= MAX_RATE:
        parser.error(f"--rate-limit must be between 0 and {MAX_RATE}")
    return arguments


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(wanted, stopped.set)
    server = create_server(arguments)
    try:
        await server.start()
    except OSError as error:
        sys.exit(f"cannot listen on {arguments.host}:{arguments.port}: {error}")
    ready = {"event": "ready", "name": arguments.provider, "url": server.url}
    print(json.dumps(ready), flush=True)
    await stopped.wait()
    await server.stop()


def create_server(arguments: argparse.Namespace) -> Server:
    """A simulator with its control endpoints, which does not listen yet."""
    provider = _provider(arguments.provider, arguments.webhook_secret, arguments.keys)
    provider.world.rate_limit.set(arguments.rate_limit)
    if arguments.webhook_url is not None:
        provider.world.webhooks.register(arguments.webhook_url)
    server = Server(provider, arguments.host, arguments.port, arguments.latency)
    control.install(server)
    drift.install(server)
    return server


def _provider(name: str, secret: str | None, kept: Path | None) -> Provider:
    if name == "stripe":
        secret = secret or stripe.DEFAULT_SECRET
        return stripe.Stripe(_world(stripe.sign, secret, rolls=True))
    signer = signing.Signer(kept)
    world = _world(signer.sign, secret or signing.DEFAULT_WEBHOOK_ID)
    return paypal.PayPal(world, signer)


def _world(sign: Sign, secret: str, rolls: bool = False) -> World:
    clock, faults = Clock(), Faults()
    return World(
        clock=clock,
        ledger=Ledger(clock),
        faults=faults,
        keys=IdempotencyKeys(clock),
        webhooks=Webhooks(sign, secret, faults, rolls),
    )


if __name__ == "__main__":
    main()
