"""Authentication of API keys, and the roles that calls need."""

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
    """Returns the valid API key of a request, of any role.

    ``ApiKeyStore.find`` compares keys in constant time. Raises Problem if the key is
    missing, unknown, expired, of another mode or over its quota, and StoreUnavailable
    if keys cannot be looked up.
    """
    if not request.headers.get("Authorization", ""):
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
    """Returns the scope in which a key of the role ``merchant`` may make payments.

    Raises as ``require_reader`` does, and Problem for another role.
    """
    key = require_reader(request, services)
    if key.role is not Role.MERCHANT:
        raise Problem(ProblemCode.ROLE_NOT_ALLOWED)
    return Scope(key.merchant, key.mode)


def require_operator(request: Request, services: WebServices) -> ApiKey:
    """Returns the key of an operator or admin, for all merchants of its mode.

    Raises as ``require_reader`` does, and Problem for another role.
    """
    key = require_reader(request, services)
    if key.role not in (Role.OPERATOR, Role.ADMIN):
        raise Problem(ProblemCode.ROLE_NOT_ALLOWED)
    return key
