"""The health application: is the process alive, can it accept, what does it count.

It has a listener of its own, away from the public one, and answers while that one is
attacked or out of threads.
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
    new_id: Callable[[str], str],
) -> Flask:
    """``/healthz``, ``/readyz`` and ``/metrics``.

    ``is_stuck`` tells of the public listener, ``check`` of the servers.
    """
    app = Flask("health", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False

    @app.get("/healthz")
    def alive() -> Response:
        """Whether the API is served. Looks at no server: a restart mends none."""
        if is_stuck():
            raise Problem(ProblemCode.STUCK)
        return rendering.json_response(responses.Health(status="ok", checks={}))

    @app.get("/readyz")
    def ready() -> Response:
        """Whether payments can be accepted now.

        MongoDB and the right encryption keys are needed. Without Redis the state is
        ``degraded``, and still 200: payments are accepted, and recovery finds them
        later.
        """
        if is_stuck():
            raise Problem(ProblemCode.STUCK)
        checks = check()
        if checks["mongodb"] != "ok" or checks["encryption"] != "ok":
            raise Problem(ProblemCode.NOT_READY, checks=checks)
        well = all(found == "ok" for found in checks.values())
        status: Literal["ready", "degraded"] = "ready" if well else "degraded"
        return rendering.json_response(responses.Health(status=status, checks=checks))

    @app.get("/metrics")
    def exposition() -> Response:
        """This process's metrics, as Prometheus reads them."""
        body, content_type = metrics.render_metrics()
        return Response(body, content_type=content_type)

    middleware.register(app, new_id)
    problems.register(app)
    return app
