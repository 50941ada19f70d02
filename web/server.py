"""The web process: granian's WSGI server around the application."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from runtime import logs
from runtime.stack import processes
from runtime.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Seconds that requests have to end once the process is told to stop: longer than the
#: slowest insert, which gives up after two timeouts of the database.
DRAIN: Final = 15

#: granian's own lines go the way of ours.
_LOGGING: Final[dict[str, Any]] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"propagate": True}},
}
#: What asks a process to end.
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Serves until TERM or INT; returns the exit code. 2: it cannot start."""
    settings = Settings.of_process("mongo_url", "redis_url")
    logs.configure(settings, "web")
    os.register_at_fork(
        before=_hold_signals,
        after_in_parent=_take_signals,
        after_in_child=_end_on_signals,
    )
    # granian shares its port with whoever asks: a second server would start and hide.
    if not processes.port_is_free(settings.host, settings.port):
        print(
            f"Error: {settings.host}:{settings.port} is taken. Set PAYMENTS_HTTP_PORT"
            " to a free port.",
            file=sys.stderr,
        )
        return 2
    server = Granian(
        "web",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.web_threads,
        workers_kill_timeout=DRAIN,
        websockets=False,
        # At INFO it advises against as many threads as waiting requests need.
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
    )
    server.serve(target_loader=load, wrap_loader=False)
    return 0


def load() -> WSGIApplication:
    """The application, in granian's worker process; called in its main thread."""
    # Only the worker needs them: its parent starts at once, and stays small.
    from runtime.container import web_services
    from web.app import build

    settings = Settings.read(os.environ)
    logs.configure(settings, "web")
    web = build(web_services(settings))
    _on_signal(web.waiting.stop)
    _end_with_parent()
    return web.app


def _hold_signals() -> None:
    """One that comes while granian forks its worker waits until either is ready."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _take_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _end_on_signals() -> None:
    """Until it serves, granian's worker has nothing to drain: a signal ends it.

    It is forked with its parent's handlers, which would only note the signal.
    """
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    _take_signals()


def _on_signal(stop: Callable[[], None]) -> None:
    """Calls ``stop`` from a thread once a signal comes.

    granian's own handler only ends the serving, and that waits for every open request.
    The wakeup descriptor tells of the signal without taking its handler away.
    """
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    signal.set_wakeup_fd(pythons.detach())

    def listen() -> None:
        ours.recv(1)
        stop()

    threading.Thread(target=listen, name="signals", daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would serve on, unseen, on the same port."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
