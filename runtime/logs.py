"""Structured logs: one event and its fields a line, as JSON or as coloured text.

Only allow-listed fields are logged, so that a token, a card number or personal data
passed by mistake never reaches a log.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final

from structlog.contextvars import clear_contextvars, get_contextvars
from structlog.dev import ConsoleRenderer

from runtime.settings import Settings

#: The fields that may be logged. None of them holds input of a payer.
ALLOWED_FIELDS: Final = frozenset(
    "account address advice answer attempt attempts calls code collection count"
    " document due_at error event exception exit_code group index is_repeat key_id"
    " leased level logger merchant method milliseconds mode name operation payment pid"
    " port ports process process_name provider provider_request_id queue reason ref"
    " replay request_id role route seconds slots state status timestamp trace_id"
    " traceparent trip_reason url version wait workers".split()
)
#: Libraries whose routine lines only repeat ours.
_QUIET_LOGGERS: Final = (
    "celery",
    "kombu",
    "pymongo",
    "urllib3",
    "stripe",
    "paypalrestsdk",
)


def configure(settings: Settings, process: str) -> None:
    """Sends this process's logs and its libraries' logs to standard error."""
    clear_contextvars()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(process, _choose_renderer(settings)))
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _choose_renderer(settings: Settings) -> Callable[[dict[str, Any]], str]:
    text = settings.log_format == "text" or (
        not settings.log_format and sys.stderr.isatty()
    )
    if not text:
        return json.JSONEncoder(default=repr).encode
    console = ConsoleRenderer(colors=sys.stderr.isatty())
    return lambda event: console(None, "", event)


class _Formatter(logging.Formatter):
    """Formats a record with its fields, those of the context and those of the process.

    The fields of a record are those of an ``application.logs.EventLogger``.
    """

    def __init__(self, process: str, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._process = process
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        given = {**get_contextvars(), **getattr(record, "fields", {})}
        at = datetime.fromtimestamp(record.created, timezone.utc)
        return self._render(
            {
                "event": record.getMessage(),
                "level": record.levelname.lower(),
                "timestamp": at.isoformat().replace("+00:00", "Z"),
                # Workers share a name. A supervisor logs the pids of its children.
                "pid": os.getpid(),
                **{name: given[name] for name in given if name in ALLOWED_FIELDS},
                **_summarize_exception(record),
                "process": self._process,
            }
        )


def _summarize_exception(record: logging.LogRecord) -> dict[str, str]:
    """An exception's type and place. Its message may hold personal data."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    summary, at = {"error": type(error).__name__}, error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is not None:
        file = at.tb_frame.f_code.co_filename.rpartition("/")[2]
        summary["exception"] = f"{file}:{at.tb_lineno}"
    return summary
