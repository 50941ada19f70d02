"""Who asks: the API key, and what it may do."""

from __future__ import annotations

from flask import Request
from structlog.contextvars import bind_contextvars

from application.api_keys import authenticate
from application.ports.payments import Scope
from domain.api_keys import ApiKey, Role
from runtime.container import WebServices
from web import parsing, quotas
from web.problem_codes import ProblemCode
from web.problems import Problem


def require_reader(request: Request, services: WebServices) -> ApiKey:
    """Whose payments the request may see; an operator any by its id.

    Which key fits is decided by ``ApiKeyStore.find``, in constant time. Raises Problem
    where the key is missing, unknown, ended, of another mode or used too often, and
    StoreUnavailable where keys cannot be looked up.
    """
    given = request.headers.get("Authorization", "")
    if not given:
        challenge = {"WWW-Authenticate": "Bearer"}
        raise Problem(ProblemCode.API_KEY_REQUIRED, headers=challenge)
    secret = parsing.parse_bearer(request)
    key = (
        authenticate(secret, store=services.keys, clock=services.clock)
        if secret
        else None
    )
    if key is None:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Problem(ProblemCode.API_KEY_INVALID, headers=challenge)
    if key.mode is not services.settings.mode:
        raise Problem(ProblemCode.MODE_NOT_SERVED)
    bind_contextvars(merchant=key.merchant, key_id=key.id)
    quotas.count_key(key, services)
    return key


def require_submitter(request: Request, services: WebServices) -> Scope:
    """Whose payment the request may make; only the role ``merchant`` may.

    Raises as ``require_reader`` does.
    """
    key = require_reader(request, services)
    if key.role is not Role.MERCHANT:
        raise Problem(ProblemCode.ROLE_NOT_ALLOWED)
    return Scope(key.merchant, key.mode)


def require_operator(request: Request, services: WebServices) -> ApiKey:
    """Who acts on all merchants' payments of a mode: an operator or an admin.

    Raises as ``require_reader`` does.
    """
    key = require_reader(request, services)
    if key.role not in (Role.OPERATOR, Role.ADMIN):
        raise Problem(ProblemCode.ROLE_NOT_ALLOWED)
    return key
