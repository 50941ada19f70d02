"""The calls under ``/v1/operations/accounts``: what stops all calls to an account."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from domain.account import StoredAccount
from domain.circuit_breaker import CallKind, CircuitBreaker, TripReason, breaker_name
from domain.payments.submission import ProviderName
from runtime import logs
from runtime.container import WebServices
from web import auth, openapi, parsing, rendering
from web.models import responses
from web.models.requests import AccountPath, AccountPauseRequest, NoQuery
from web.openapi import Route
from web.problem_codes import ProblemCode
from web.problems import Problem

log = logs.get_logger()


def _change_route(path: str) -> Route:
    return Route(
        "POST",
        f"/v1/operations/accounts/<account>/{path}",
        answers={200: responses.CircuitBreaker},
        problems=(*openapi.OPERATOR_ACTION_PROBLEMS, ProblemCode.BREAKER_NOT_FOUND),
        takes={"path": AccountPath, "body": AccountPauseRequest},
        tag="operations",
    )


@dataclass(frozen=True, slots=True)
class AccountRoutes:
    """The calls, with what they need."""

    services: WebServices

    @Route(
        "GET",
        "/v1/operations/accounts",
        answers={200: responses.CircuitBreakerList},
        problems=(*openapi.OPERATOR_PROBLEMS, ProblemCode.INVALID_QUERY),
        tag="operations",
    )
    def list_breakers(self) -> Response:
        """List the breakers before the providers' accounts.

        An open breaker lets nothing through but a probe now and then: its payments
        wait, and spend no attempt. The last changes say who opened and closed it, and
        why. A breaker of an account stops all its calls, one with calls that kind
        alone. Those of merchants' accounts, and of kinds of calls, are listed once they
        have moved.
        """
        auth.require_operator(request, self.services)
        parsing.parse_query(request, NoQuery)
        found = self.services.breakers.load_all().values()
        stored = self._load_stored(*{breaker.account for breaker in found})
        data = [
            rendering.render_breaker(breaker, stored.get(breaker.account))
            for breaker in found
            if breaker.account in stored or breaker.account in set(ProviderName)
        ]
        return rendering.json_response(
            responses.CircuitBreakerList(
                object="list", data=data, has_more=False, next_cursor=None
            )
        )

    @_change_route("pause")
    def pause(self, account: str) -> Response:
        """Stop all calls to an account, or one kind of them.

        Its payments wait until somebody closes the breaker again, or go on to the next
        account where they have one. Calls under way end as they will; workers follow
        within a second or two.
        """
        by, stored, reason, name = self._parse_request(account)
        breakers = self.services.breakers
        breaker = breakers.open(
            name, trip_reason=TripReason.OPERATOR, reason=reason, by=by
        )
        return self._answer(name, stored, breaker)

    @_change_route("resume")
    def resume(self, account: str) -> Response:
        """Let calls to an account through again, whatever had stopped them.

        The breakers before single kinds of its calls stay as they are, unless named.
        """
        by, stored, reason, name = self._parse_request(account)
        breaker = self.services.breakers.close(name, reason=reason, by=by)
        return self._answer(name, stored, breaker)

    def _parse_request(
        self, account: str
    ) -> tuple[str, StoredAccount | None, str, str]:
        """By whom, for which account, why, and which of its breakers by name."""
        key = auth.require_operator(request, self.services)
        asked = parsing.parse_body(request, AccountPauseRequest)
        stored = self._load_stored(account).get(account)
        if stored is None and account not in set(ProviderName):
            raise Problem(ProblemCode.BREAKER_NOT_FOUND)
        calls = CallKind(asked.calls) if asked.calls else None
        by = f"{key.merchant} {key.id}"
        return by, stored, asked.reason, breaker_name(account, calls)

    def _load_stored(self, *names: str) -> dict[str, StoredAccount]:
        """Those of ``names`` that are merchants' accounts of our mode."""
        ids = [one for one in names if one not in set(ProviderName)]
        if not ids:
            return {}
        mode = self.services.settings.mode
        found = self.services.accounts.list(ids=ids)
        return {one.id: one for one in found if one.mode is mode}

    def _answer(
        self, name: str, stored: StoredAccount | None, breaker: CircuitBreaker | None
    ) -> Response:
        """The breaker as it is now; it may have been so before."""
        found = breaker or self.services.breakers.load_all().get(
            name, CircuitBreaker(name)
        )
        log.warning(
            "breaker_set",
            account=found.account,
            calls=found.call_kind or "all",
            state=found.state.value,
        )
        return rendering.json_response(rendering.render_breaker(found, stored))
