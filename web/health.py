"""Whether the process is alive, whether it can accept, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from runtime import metrics
from runtime.container import WebServices
from web import rendering
from web.problems import Problem


@dataclass(frozen=True, slots=True)
class Health:
    """The probes, with what they need."""

    services: WebServices

    def alive(self) -> Response:
        """Whether the process answers. Looks at nothing else."""
        return rendering.answer({"status": "ok", "checks": {}})

    def ready(self) -> Response:
        """Whether payments can be accepted now.

        MongoDB and the right encryption keys are needed. Without Redis the state is
        ``degraded``, and still 200: payments are accepted, and recovery finds them
        later.
        """
        checks = self.services.check()
        if checks["mongodb"] != "ok" or checks["encryption"] != "ok":
            raise Problem("not_ready", more={"checks": checks})
        well = all(found == "ok" for found in checks.values())
        status = "ready" if well else "degraded"
        return rendering.answer({"status": status, "checks": checks})

    def metrics(self) -> Response:
        """This process's metrics, as Prometheus reads them."""
        body, content_type = metrics.exposition()
        return Response(body, content_type=content_type)
