"""The documentation pages: Swagger UI from a wheel, and a page for each problem."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from flask import Blueprint, Response

from web.problem_catalogue import CATALOGUE
from web.problem_codes import ProblemCode
from web.problems import Problem

#: Only this host; Swagger UI uses inline styles and images in data URLs.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Payments API</title>
<link rel="icon" href="/docs/assets/images/swagger.svg">
<link rel="stylesheet" href="/docs/assets/css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/js/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
#: The validator is off because it would send the document to another host.
_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
#: Seconds that a browser may cache the pages, which change only with a release.
_KEEP: Final = 300


def pages(document: bytes) -> Blueprint:
    """Serves ``/openapi.json`` (``document``), ``/docs`` and ``/problems/<code>``."""
    swagger = files("flask_openapi3_swagger") / "templates" / "swagger"
    blueprint = Blueprint(
        "docs", __name__, static_folder=str(swagger), static_url_path="/docs/assets"
    )

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        return _kept(Response(document, mimetype="application/json"))

    @blueprint.get("/docs")
    def docs() -> Response:
        page = _kept(Response(_PAGE, mimetype="text/html"))
        page.headers["Content-Security-Policy"] = _POLICY
        return page

    @blueprint.get("/docs/start.js")
    def start() -> Response:
        return _kept(Response(_START, mimetype="text/javascript"))

    @blueprint.get("/problems/<code>")
    def problem(code: str) -> Response:
        if code not in CATALOGUE:
            raise Problem(ProblemCode.NOT_FOUND)
        status, title, detail = CATALOGUE[ProblemCode(code)]
        text = f"{title} ({code}, HTTP {status})\n\n{detail}\n"
        return _kept(Response(text, mimetype="text/plain"))

    return blueprint


def _kept(response: Response) -> Response:
    response.cache_control.public = True
    response.cache_control.max_age = _KEEP
    return response
