"""The API's port, looked at before a stack starts on it."""

from __future__ import annotations

from local_stack.state import StackError
from runtime import processes
from runtime.settings import Settings


class PortBusy(StackError):
    """The API's port is taken."""

    exit_code = 2

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"port {settings.port} on {settings.host} is in use. Free it, or set"
            " PAYMENTS_HTTP_PORT to another (0 picks a free one)"
        )


def check(settings: Settings) -> None:
    """Raises PortBusy where the API could not listen now."""
    if settings.port and not processes.port_is_free(settings.host, settings.port):
        raise PortBusy(settings)
