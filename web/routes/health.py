"""The health application: liveness, readiness and metrics of the process.

Its own private listener answers even while the public one is flooded or out of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from flask import Flask, Response

from runtime import metrics
from web import middleware, problems, rendering
from web.models import responses
from web.problem_codes import ProblemCode
from web.problems import Problem


def build(
    *,
    is_stuck: Callable[[], bool],
    check: Callable[[], dict[str, str]],
) -> Flask:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics``.

    ``is_stuck`` checks the public listener, ``check`` the servers.
    """
    app = Flask("health", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False

    @app.get("/healthz")
    def alive() -> Response:
        """Whether the API is served. Servers do not count: a restart would not help."""
        if is_stuck():
            raise Problem(ProblemCode.STUCK)
        return rendering.json_response(responses.Health(status="ok", checks={}))

    @app.get("/readyz")
    def ready() -> Response:
        """Whether payments can be accepted now.

        MongoDB and the right encryption keys are required. Without Redis the status is
        ``degraded`` and the answer still 200: payments are accepted, and recovery
        carries them out later.
        """
        if is_stuck():
            raise Problem(ProblemCode.STUCK)
        checks = check()
        if checks["mongodb"] != "ok" or checks["encryption"] != "ok":
            raise Problem(ProblemCode.NOT_READY, checks=checks)
        healthy = all(found == "ok" for found in checks.values())
        status: Literal["ready", "degraded"] = "ready" if healthy else "degraded"
        return rendering.json_response(responses.Health(status=status, checks=checks))

    @app.get("/metrics")
    def exposition() -> Response:
        """Renders this process's metrics for Prometheus."""
        body, content_type = metrics.render_metrics()
        return Response(body, content_type=content_type)

    middleware.register(app)
    problems.register(app)
    return app
