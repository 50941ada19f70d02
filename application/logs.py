"""The one way to log: an event and its fields.

Every module has ``log = get_logger(__name__)``. ``runtime.logs`` writes the lines and
drops each field that it does not allow.
"""

from __future__ import annotations

import logging


class EventLogger:
    """Logs an event and its fields: ``log.info("attempt_settled", payment=…)``.

    The fields are the attribute ``fields`` of the log record. A level that is switched
    off costs one lookup.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        """Logs an event that is only of use to a developer."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Logs an event of normal work."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Logs an event that the service handles, but an operator may want to know."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Logs an event that an operator has to look into."""
        self._log(logging.ERROR, event, fields)

    def exception(
        self, event: str, cause: BaseException | None = None, /, **fields: object
    ) -> None:
        """Logs an error with its ``cause``; None is the exception being handled."""
        self._log(logging.ERROR, event, fields, cause or True)

    def _log(
        self,
        level: int,
        event: str,
        fields: dict[str, object],
        exc_info: BaseException | bool | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=exc_info, extra={"fields": fields})


def get_logger(name: str) -> EventLogger:
    """Returns the logger of a module."""
    return EventLogger(logging.getLogger(name))
