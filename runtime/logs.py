"""Structured logs: one event and its fields a line, as JSON or as coloured text.

Only allow-listed fields are logged, so that a token, a card number or personal data
passed by mistake never reaches a log.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

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
    structlog.contextvars.clear_contextvars()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _add_fields,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _add_process(process),
                _summarize_exception,
                _drop_unlisted,
                *_renderers(settings),
            ],
        )
    )
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(settings: Settings) -> list[Processor]:
    text = settings.log_format == "text" or (
        not settings.log_format and sys.stderr.isatty()
    )
    if text:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [structlog.processors.JSONRenderer()]


def _add_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Adds the fields of an ``application.logs.EventLogger``."""
    event.update(getattr(event["_record"], "fields", {}))
    return event


def _add_process(process: str) -> Processor:
    def name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["process"] = process
        # Workers share a name. A supervisor logs the pids of its children.
        event.setdefault("pid", os.getpid())
        return event

    return name


def _summarize_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keeps an exception's type and place. Its message may hold personal data."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info else None
    if error is None:
        return event
    event["error"] = type(error).__name__
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is not None:
        code = at.tb_frame.f_code
        event["exception"] = f"{code.co_filename.rpartition('/')[2]}:{at.tb_lineno}"
    return event


def _drop_unlisted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if name in ALLOWED_FIELDS}
