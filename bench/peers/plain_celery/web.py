"""The web side: a payment becomes a task."""

from __future__ import annotations

from bench.peers.plain_celery.tasks import charge
from bench.peers.web import create_app

app = create_app(charge.delay)
