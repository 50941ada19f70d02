"""The calls under ``/v1/operations/gates``: what stops all calls to a provider."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from domain.breaker import Gate, Why
from domain.submission import ProviderName
from runtime import logs
from runtime.container import WebServices
from web import auth, parsing, rendering
from web.problems import Problem
from web.schemas import GateRequest, NoQuery

log = logs.get_logger()


@dataclass(frozen=True, slots=True)
class Gates:
    """The calls, with what they need."""

    services: WebServices

    def list_gates(self) -> Response:
        """List the gates before the providers' accounts.

        An open gate lets nothing through but a probe now and then: its payments wait,
        and spend no attempt. The last changes say who opened and closed it, and why.
        """
        auth.may_operate(request, self.services)
        parsing.query(request, NoQuery)
        found = self.services.breakers.gates().values()
        return rendering.answer(rendering.page([rendering.gate(one) for one in found]))

    def open_gate(self, provider: str) -> Response:
        """Stop all calls to a provider.

        Its payments wait until somebody closes the gate again. Calls under way end as
        they will; workers follow within a second or two.
        """
        by, name, reason = self._asked(provider)
        breakers = self.services.breakers
        gate = breakers.open(name, why=Why.OPERATOR, reason=reason, by=by)
        return self._moved(name, gate)

    def close_gate(self, provider: str) -> Response:
        """Let calls to a provider through again, whatever had stopped them."""
        by, name, reason = self._asked(provider)
        gate = self.services.breakers.close(name, reason=reason, by=by)
        return self._moved(name, gate)

    def _asked(self, provider: str) -> tuple[str, ProviderName, str]:
        """By whom, for which provider, and why."""
        key = auth.may_operate(request, self.services)
        asked = parsing.body(request, GateRequest)
        if provider not in set(ProviderName):
            raise Problem("gate_not_found")
        return f"{key.merchant} {key.id}", ProviderName(provider), asked.reason

    def _moved(self, provider: ProviderName, gate: Gate | None) -> Response:
        """The gate as it is now; it may have been so before."""
        found = gate or self.services.breakers.gates()[provider]
        log.warning("gate_set", provider=provider.value, state=found.position.value)
        return rendering.answer(rendering.gate(found))
