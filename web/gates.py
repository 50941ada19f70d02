"""The calls under ``/v1/operations/gates``: what stops all calls to an account."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from domain.breaker import Gate, Why
from domain.submission import ProviderName
from persistence.accounts import StoredAccount
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
        Of merchants' accounts those are listed whose gate has moved.
        """
        auth.may_operate(request, self.services)
        parsing.query(request, NoQuery)
        found = self.services.breakers.gates()
        stored = self._stored(*found)
        data = [
            rendering.gate(gate, stored.get(name))
            for name, gate in found.items()
            if name in stored or name in set(ProviderName)
        ]
        return rendering.answer(rendering.page(data))

    def open_gate(self, account: str) -> Response:
        """Stop all calls to an account.

        Its payments wait until somebody closes the gate again, or go on to the next
        account where they have one. Calls under way end as they will; workers follow
        within a second or two.
        """
        by, stored, reason = self._asked(account)
        breakers = self.services.breakers
        gate = breakers.open(account, why=Why.OPERATOR, reason=reason, by=by)
        return self._moved(account, stored, gate)

    def close_gate(self, account: str) -> Response:
        """Let calls to an account through again, whatever had stopped them."""
        by, stored, reason = self._asked(account)
        gate = self.services.breakers.close(account, reason=reason, by=by)
        return self._moved(account, stored, gate)

    def _asked(self, account: str) -> tuple[str, StoredAccount | None, str]:
        """By whom, for which account, and why."""
        key = auth.may_operate(request, self.services)
        asked = parsing.body(request, GateRequest)
        stored = self._stored(account).get(account)
        if stored is None and account not in set(ProviderName):
            raise Problem("gate_not_found")
        return f"{key.merchant} {key.id}", stored, asked.reason

    def _stored(self, *names: str) -> dict[str, StoredAccount]:
        """Those of ``names`` that are merchants' accounts of our mode."""
        ids = [one for one in names if one not in set(ProviderName)]
        if not ids:
            return {}
        mode = self.services.settings.mode
        found = self.services.accounts.list(ids=ids)
        return {one.id: one for one in found if one.mode is mode}

    def _moved(
        self, account: str, stored: StoredAccount | None, gate: Gate | None
    ) -> Response:
        """The gate as it is now; it may have been so before."""
        found = gate or self.services.breakers.gates().get(account, Gate(account))
        log.warning("gate_set", account=account, state=found.position.value)
        return rendering.answer(rendering.gate(found, stored))
