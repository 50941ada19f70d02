"""Log lines that a test caused."""

from __future__ import annotations

import logging
from typing import Any

import pytest


def logged_errors(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The events and fields of our modules' errors, the oldest first."""
    return [
        {"event": one.message, **one.__dict__["fields"]}
        for one in caplog.records
        if one.levelno == logging.ERROR and "fields" in one.__dict__
    ]
