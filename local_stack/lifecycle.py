"""`payments up`: runs the stack as child processes of one foreground process."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPException
from typing import Any, Final

from application.logs import get_logger
from domain.errors import StoreUnavailable
from local_stack import embedded_servers, initialise, probe
from local_stack.folders import make_folder
from local_stack.process_table import PROGRAMS, Process, program_process
from local_stack.state import (
    READY,
    STARTING,
    STOPPING,
    Ports,
    Ready,
    Row,
    StackError,
    State,
    check_port,
    forget_state,
    take,
    write_state,
)
from local_stack.supervisor import Interrupted, Supervisor
from persistence.indexes import IndexNotBuilt
from runtime import processes
from runtime.settings import Settings
from runtime.settings_checks import hosts_of

log = get_logger(__name__)

LOOPBACK: Final = "127.0.0.1"
#: For the signatures of the simulators' webhooks: a secret, and a webhook's id.
SIMULATOR_WEBHOOKS: Final = {"stripe": "whsec_simulator", "paypal": "WH-SIMULATOR"}
#: Seconds for the start of a group of Python programs on a busy machine.
START_WAIT: Final = 60.0
#: Seconds that a start waits for the indexes of small collections.
INDEX_WAIT: Final = 10.0
#: Seconds for the stop of a simulator, which stores nothing.
SIMULATOR_STOP: Final = 5.0
#: Seconds for the stop of a server: a checkpoint of a small database.
SERVER_STOP: Final = 15.0


class Stack:
    """One run of the stack."""

    def __init__(self, settings: Settings, *, workers: int) -> None:
        # Children may have another working directory, so the path is absolute.
        self._settings = replace(settings, home=settings.home.resolve())
        self._workers = workers
        self._filled: dict[str, Any] = {}
        self._phase = STARTING
        self._supervisor = Supervisor(changed=self._write)

    def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Starts everything, calls ``on_ready``, and keeps it running until a signal.

        Raises StackError if it cannot start; then it has stopped every process.
        """
        take(self._settings.home)
        with self._supervisor.signals():
            try:
                self._write()
                ready = self._start()
                self._phase = READY
                self._write()
                on_ready(ready)
                self._supervisor.tend()
            except Interrupted:
                log.info("stack_stopping")
            except (processes.ProcessFailed, embedded_servers.EmbeddedError) as error:
                raise StackError(str(error)) from error
            except IndexNotBuilt as error:
                raise StackError(str(error)) from error
            except StoreUnavailable as error:
                where = hosts_of(self._settings.mongo_url)
                raise StackError(
                    f"MongoDB at {where} has no reachable primary"
                    " (PAYMENTS_MONGO_URL). `payments doctor` gives details"
                ) from error
            finally:
                self._phase = STOPPING
                self._write()
                self._supervisor.stop()
                forget_state(self._settings.home)

    def _start(self) -> Ready:
        ports = Ports(self._settings.home)
        check_port(self._settings)
        if not self._settings.port:
            self._fill(port=ports.get("web"))
        servers = [*self._servers(ports), *self._simulators(ports)]
        if servers:
            self._supervisor.start(servers, seconds=START_WAIT)
        if not probe.is_ready(self._settings.redis_url):
            # The stack starts anyway: payments are accepted, and wait.
            log.warning(
                "redis_unreachable",
                address=hosts_of(self._settings.redis_url),
                reason="PAYMENTS_REDIS_URL does not answer, and payments wait for it",
            )
        self._trust_simulators()
        initialise.initialise(self._settings, unique=True)
        self._build_indexes()
        key = initialise.ensure_demo_keys(self._settings)
        self._supervisor.check()
        self._supervisor.start(self._programs(ports), seconds=START_WAIT)
        return Ready(self._urls(), key, self._settings.home)

    def _build_indexes(self) -> None:
        """Builds the indexes in a thread and waits INDEX_WAIT seconds at most, because
        millions of payments take minutes.
        """
        building = threading.Thread(
            target=initialise.build_indexes,
            args=(self._settings,),
            name="indexes",
            daemon=True,
        )
        building.start()
        building.join(INDEX_WAIT)

    def _servers(self, ports: Ports) -> list[Process]:
        """Embedded servers for the addresses that are not set."""
        found = []
        home = self._settings.home
        if not self._settings.redis_url:
            found.append(embedded_servers.redis(home, ports.get("redis")))
            self._fill(redis_url=found[-1].url)
        if not self._settings.mongo_url:
            found.append(embedded_servers.mongo(home, ports.get("mongo")))
            self._fill(mongo_url=found[-1].url)
        return [
            Process(
                name=server.name,
                command=server.command,
                environment=os.environ,
                ready_url=server.url,
                live_url=server.url,
                log=server.log,
                stop_seconds=SERVER_STOP,
                prepare=server.ready,
            )
            for server in found
        ]

    def _simulators(self, ports: Ports) -> list[Process]:
        """Simulators for the providers whose addresses are not set."""
        found = []
        for name, field in {
            "stripe": "stripe_api_base",
            "paypal": "paypal_api_base",
        }.items():
            if getattr(self._settings, field):
                continue
            port = ports.get(name)
            url = f"http://{LOOPBACK}:{port}"
            self._fill(**{field: url})
            keys = make_folder(self._settings.home) / f"{name}_simulator_keys.pem"
            found.append(
                Process(
                    name=name,
                    command=(
                        *(sys.executable, "-m", "simulators", name),
                        *("--host", LOOPBACK, "--port", str(port)),
                        *("--webhook-url", f"{self._api()}/v1/webhooks/{name}"),
                        *("--keys", str(keys)),
                    ),
                    environment=os.environ,
                    ready_url=f"{url}/_health",
                    live_url=f"{url}/_health",
                    metrics_url=f"{url}/metrics",
                    log=make_folder(self._settings.home, "logs") / f"{name}.log",
                    stop_seconds=SIMULATOR_STOP,
                )
            )
        return found

    def _trust_simulators(self) -> None:
        """Sets the webhook secrets and certificates of the started simulators."""
        fields = self._settings
        if "stripe_api_base" in self._filled and not fields.stripe_webhook_secrets:
            self._fill(stripe_webhook_secrets=SIMULATOR_WEBHOOKS["stripe"])
        if "paypal_api_base" in self._filled and not fields.paypal_webhook_id:
            self._fill(paypal_webhook_id=SIMULATOR_WEBHOOKS["paypal"])
        if "paypal_api_base" in self._filled and fields.paypal_roots is None:
            roots = make_folder(fields.home) / "paypal_simulator_root.pem"
            try:
                root = probe.fetch(f"{fields.paypal_api_base}/_root.pem")
            except (OSError, HTTPException) as error:
                raise processes.ProcessFailed(f"paypal: {error}") from error
            roots.write_bytes(root)
            self._fill(paypal_roots=roots)

    def _programs(self, ports: Ports) -> list[Process]:
        found = []
        for program in PROGRAMS:
            count = self._workers if program.name == "worker" else 1
            for number in range(1, count + 1):
                name = program.name if number == 1 else f"{program.name}-{number}"
                # "web" is the name of the API's port.
                port_name = "web-health" if program.name == "web" else name
                own = replace(self._settings, metrics_port=ports.get(port_name))
                host = probe.reachable(own.metrics_host)
                address = f"http://{host}:{own.metrics_port}"
                found.append(
                    program_process(
                        program,
                        name=name,
                        environment={**os.environ, **own.environment()},
                        address=address,
                    )
                )
        return found

    def _api(self) -> str:
        return f"http://{probe.reachable(self._settings.host)}:{self._settings.port}"

    def _urls(self) -> dict[str, str]:
        return {
            "api": self._api(),
            "docs": f"{self._api()}/docs",
            "stripe": self._settings.stripe_api_base,
            "paypal": self._settings.paypal_api_base,
        }

    def _fill(self, **values: Any) -> None:
        """Sets unset settings, for the children and for other commands."""
        self._settings = replace(self._settings, **values)
        self._filled |= values

    def _write(self) -> None:
        filled = {
            field.metadata["name"]: str(self._filled[field.name])
            for field in dataclasses.fields(Settings)
            if field.name in self._filled
        }
        rows = [
            Row(
                child.process.name,
                child.pid,
                child.process.ready_url,
                child.process.metrics_url,
            )
            for child in self._supervisor.children
        ]
        home = self._settings.home
        state = State(
            pid=os.getpid(),
            phase=self._phase,
            home=str(home),
            urls=self._urls(),
            filled=filled,
            processes=tuple(rows),
        )
        write_state(home, state)
