"""The operators' calls under ``/v1/operations/gates``: see, open and close them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask import Response, request
from pydantic import BaseModel, Field

from domain.breaker import Gate, Position, Why
from domain.errors import Conflict
from domain.submission import ProviderName
from runtime import logs
from runtime.container import WebServices
from web import auth, parsing, rendering
from web.answers import Answer
from web.problems import Problem
from web.replay_models import Reason
from web.schemas import NoQuery, Provider, Strict

log = logs.get_logger()


class GatePath(BaseModel):
    """Which account's gate."""

    provider: Provider


class GateRequest(Strict):
    """Why it is moved; everybody who looks at the gate reads it."""

    reason: Reason


class GateAnswer(Answer):
    """The gate before one account. Open, it lets nothing through but a probe."""

    object: Literal["gate"]
    provider: Provider
    position: Position
    why: Why | None = Field(description="What opened it; null where it is closed")
    reason: str
    by: str = Field(description="The operator's key, or the worker")
    since: datetime | None
    probe_at: datetime | None = Field(description="When the next probe is due")


class GateList(Answer):
    """One gate a provider."""

    object: Literal["list"]
    data: list[GateAnswer]
    has_more: Literal[False]
    next_cursor: None


@dataclass(frozen=True, slots=True)
class Gates:
    """The calls, with what they need."""

    services: WebServices

    def list(self) -> Response:
        """See the gates before the providers' accounts.

        For operators and admins.
        """
        auth.may_operate(request, self.services)
        parsing.query(request, NoQuery)
        gates = self.services.breakers.gates()
        data = [_gate(gates[provider]) for provider in ProviderName]
        return rendering.answer(rendering.page(data))

    def open(self, provider: str) -> Response:
        """Stop the calls to a provider's account.

        Its payments are taken as always, and wait. Only an operator closes the gate
        again.
        """
        key = auth.may_operate(request, self.services)
        reason = parsing.body(request, GateRequest).reason
        gate = self.services.breakers.open(
            _provider(provider), why=Why.OPERATOR, reason=reason, by=key.id
        )
        if gate is None:
            raise Conflict("gate_moved", "somebody moved the gate at the same time")
        return _moved(gate)

    def close(self, provider: str) -> Response:
        """Let the calls to a provider's account go on, whatever opened its gate."""
        key = auth.may_operate(request, self.services)
        reason = parsing.body(request, GateRequest).reason
        name = _provider(provider)
        gate = self.services.breakers.close(name, reason=reason, by=key.id)
        if gate is None:
            raise Conflict("gate_is_closed", "the gate is closed already")
        return _moved(gate)


def _provider(name: str) -> ProviderName:
    try:
        return ProviderName(name)
    except ValueError:
        raise Problem("not_found") from None


def _moved(gate: Gate) -> Response:
    log.warning("gate_moved", provider=gate.provider.value, state=gate.position.value)
    return rendering.answer(_gate(gate))


def _gate(gate: Gate) -> Mapping[str, Any]:
    return {
        "object": "gate",
        "provider": gate.provider,
        "position": gate.position,
        "why": gate.why,
        "reason": gate.reason,
        "by": gate.by,
        "since": rendering.time(gate.since) if gate.since else None,
        "probe_at": rendering.time(gate.probe_at) if gate.probe_at else None,
    }
