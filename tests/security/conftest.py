"""One web process for the attacks; each test has a merchant of its own."""

from __future__ import annotations

from tests.support.web_fixtures import merchant, web

__all__ = ["merchant", "web"]
