"""The web process: a public listener for the API, a private one for its health."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from typing import Final

from application.logs import get_logger
from runtime import logs, processes
from runtime.container import WebServices, create_web_services
from runtime.settings import Settings
from web import parsing
from web.app import Web, build
from web.http.listener import Limits, Listener
from web.routes import health, webhooks

#: Seconds for requests to end when the process stops: longer than the slowest insert,
#: which gives up after two timeouts of the database.
DRAIN: Final = 15
#: Threads for probes; a few may wait for an unavailable database.
HEALTH_THREADS: Final = 4
#: Probes are few and have no bodies.
HEALTH_LIMITS: Final = Limits(connections=128, queue=32)
#: Open files besides clients' connections: servers, logs and libraries.
OTHER_FILES: Final = 512

log = get_logger(__name__)


def main() -> int:
    """Serves until TERM or INT. Returns the exit code, 2 if it cannot start."""
    settings = Settings.of_process("mongo_url", "redis_url")
    logs.configure(settings, "web")
    for host, port, name in (
        (settings.host, settings.port, "PAYMENTS_HTTP_PORT"),
        (settings.metrics_host, settings.metrics_port, "PAYMENTS_METRICS_PORT"),
    ):
        if port and not processes.port_is_free(host, port):
            print(
                f"Error: {host}:{port} is taken. Set {name} to a free port.",
                file=sys.stderr,
            )
            return 2
    services = create_web_services(settings)
    asyncio.run(_serve(settings, services, build(services)))
    return 0


async def _serve(settings: Settings, services: WebServices, web: Web) -> None:
    public = Listener(
        web.app.wsgi_app,
        threads=settings.web_threads,
        max_body=_max_body,
        limits=Limits(connections=most_connections()),
    )
    probes = health.build(is_stuck=public.is_stuck, check=services.check_readiness)
    private = Listener(
        probes.wsgi_app,
        threads=HEALTH_THREADS,
        max_body=lambda target: 0,
        limits=HEALTH_LIMITS,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = await private.start(settings.metrics_host, settings.metrics_port)
    await public.start(settings.host, settings.port)
    log.info("web_ready", port=port)
    await stop.wait()
    web.waiting.stop()
    await public.drain(DRAIN)
    await private.drain(0)


def _max_body(target: bytes) -> int:
    if target.startswith(b"/v1/webhooks/"):
        return webhooks.MAX_BODY
    return parsing.MAX_BODY


def most_connections() -> int:
    """Returns the number of connections that the limit of open files allows.

    It is at most that of ``Limits``. The soft limit of open files, often 1,024, is
    raised as far as the hard limit allows.
    """
    wanted = Limits().connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Limits().connections
    most = max(soft - OTHER_FILES, soft // 2)
    log.warning("few_open_files", count=soft, advice="Raise the limit (ulimit -n)")
    return most
