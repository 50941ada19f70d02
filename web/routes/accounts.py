"""The calls under ``/v1/operations/gates``: what stops all calls to an account."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from domain.account import StoredAccount
from domain.circuit_breaker import CallKind, Gate, Why, gate_name
from domain.payments.submission import ProviderName
from runtime import logs
from runtime.container import WebServices
from web import auth, openapi, parsing, rendering
from web.models import responses
from web.models.requests import GatePath, GateRequest, NoQuery
from web.openapi import Route
from web.problem_codes import ProblemCode
from web.problems import Problem

log = logs.get_logger()


def _move(path: str) -> Route:
    return Route(
        "POST",
        f"/v1/operations/gates/<account>/{path}",
        answers={200: responses.Gate},
        problems=(*openapi.ACTS, ProblemCode.GATE_NOT_FOUND),
        takes={"path": GatePath, "body": GateRequest},
        tag="operations",
    )


@dataclass(frozen=True, slots=True)
class Gates:
    """The calls, with what they need."""

    services: WebServices

    @Route(
        "GET",
        "/v1/operations/gates",
        answers={200: responses.GateList},
        problems=(*openapi.OPERATES, ProblemCode.INVALID_QUERY),
        tag="operations",
    )
    def list_gates(self) -> Response:
        """List the gates before the providers' accounts.

        An open gate lets nothing through but a probe now and then: its payments wait,
        and spend no attempt. The last changes say who opened and closed it, and why.
        A gate of an account stops all its calls, one with calls that kind alone. Those
        of merchants' accounts, and of kinds of calls, are listed once they have moved.
        """
        auth.may_operate(request, self.services)
        parsing.query(request, NoQuery)
        found = self.services.breakers.gates().values()
        stored = self._stored(*{gate.account for gate in found})
        data = [
            rendering.gate(gate, stored.get(gate.account))
            for gate in found
            if gate.account in stored or gate.account in set(ProviderName)
        ]
        return rendering.answer(
            responses.GateList(
                object="list", data=data, has_more=False, next_cursor=None
            )
        )

    @_move("open")
    def open_gate(self, account: str) -> Response:
        """Stop all calls to an account, or one kind of them.

        Its payments wait until somebody closes the gate again, or go on to the next
        account where they have one. Calls under way end as they will; workers follow
        within a second or two.
        """
        by, stored, reason, name = self._asked(account)
        breakers = self.services.breakers
        gate = breakers.open(name, why=Why.OPERATOR, reason=reason, by=by)
        return self._moved(name, stored, gate)

    @_move("close")
    def close_gate(self, account: str) -> Response:
        """Let calls to an account through again, whatever had stopped them.

        The gates before single kinds of its calls stay as they are, unless named.
        """
        by, stored, reason, name = self._asked(account)
        gate = self.services.breakers.close(name, reason=reason, by=by)
        return self._moved(name, stored, gate)

    def _asked(self, account: str) -> tuple[str, StoredAccount | None, str, str]:
        """By whom, for which account, why, and which of its gates by name."""
        key = auth.may_operate(request, self.services)
        asked = parsing.body(request, GateRequest)
        stored = self._stored(account).get(account)
        if stored is None and account not in set(ProviderName):
            raise Problem(ProblemCode.GATE_NOT_FOUND)
        calls = CallKind(asked.calls) if asked.calls else None
        by = f"{key.merchant} {key.id}"
        return by, stored, asked.reason, gate_name(account, calls)

    def _stored(self, *names: str) -> dict[str, StoredAccount]:
        """Those of ``names`` that are merchants' accounts of our mode."""
        ids = [one for one in names if one not in set(ProviderName)]
        if not ids:
            return {}
        mode = self.services.settings.mode
        found = self.services.accounts.list(ids=ids)
        return {one.id: one for one in found if one.mode is mode}

    def _moved(
        self, name: str, stored: StoredAccount | None, gate: Gate | None
    ) -> Response:
        """The gate as it is now; it may have been so before."""
        found = gate or self.services.breakers.gates().get(name, Gate(name))
        log.warning(
            "gate_set",
            account=found.account,
            calls=found.calls or "all",
            state=found.position.value,
        )
        return rendering.answer(rendering.gate(found, stored))
