"""Log lines: an event and its allowed fields, from every module in the same way."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from application.logs import get_logger

PROGRAM = """
from structlog.contextvars import bind_contextvars
from application.logs import get_logger
from runtime import logs
from runtime.settings import Settings

logs.configure(Settings(log_format="json", log_level="INFO"), "worker")
log = get_logger("application.attempt")
bind_contextvars(request_id="req_1")
log.debug("not_written")
log.info("100%s", payment="pay_1", name="a field that a record has", token="secret")
try:
    raise ValueError("words of a payer")
except ValueError:
    log.exception("failed", account="acct_1")
"""


def test_a_line_has_the_event_its_allowed_fields_and_the_context() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    written, failed = map(json.loads, done.stderr.splitlines())
    assert written.pop("timestamp") and written.pop("pid")
    assert written == {
        "event": "100%s",
        "level": "info",
        "name": "a field that a record has",
        "payment": "pay_1",
        "process": "worker",
        "request_id": "req_1",
    }
    assert (failed["event"], failed["account"]) == ("failed", "acct_1")
    assert failed["error"] == "ValueError"
    assert "words" not in done.stderr and "secret" not in done.stderr


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_each_level_is_that_of_the_record(
    level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    getattr(get_logger("application.attempt"), level)("happened", payment="pay_1")
    [record] = caplog.records
    assert (record.name, record.levelname) == ("application.attempt", level.upper())
    assert record.__dict__["fields"] == {"payment": "pay_1"}


def test_an_exception_is_an_error_with_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = get_logger("application.attempt")
    try:
        raise ValueError
    except ValueError as error:
        log.exception("failed")
        cause = error
    log.exception("failed", cause)
    assert [one.levelno for one in caplog.records] == [logging.ERROR] * 2
    assert all(one.exc_info and one.exc_info[0] is ValueError for one in caplog.records)


def test_a_level_that_is_off_makes_no_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    get_logger("application.attempt").debug("happened")
    assert caplog.records == []
