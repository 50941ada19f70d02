"""The calls under ``/v1/operations/accounts``: breakers, pause and resume."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from application.logs import get_logger
from domain.account import StoredAccount
from domain.circuit_breaker import CallKind, CircuitBreaker, TripReason, breaker_name
from domain.payments.submission import ProviderName
from runtime.container import WebServices
from web import auth, openapi, parsing, rendering
from web.models import responses
from web.models.requests import AccountPath, AccountPauseRequest, NoQuery
from web.openapi import Route
from web.problem_codes import ProblemCode
from web.problems import Problem

log = get_logger(__name__)


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
    """The calls with their dependencies."""

    services: WebServices

    @Route(
        "GET",
        "/v1/operations/accounts",
        answers={200: responses.CircuitBreakerList},
        problems=(*openapi.OPERATOR_PROBLEMS, ProblemCode.INVALID_QUERY),
        tag="operations",
    )
    def list_breakers(self) -> Response:
        """List the circuit breakers of the provider accounts.

        An open breaker blocks all calls except an occasional probe: payments wait and
        use up no attempt. `changes` shows the author and the reason of each change. A
        breaker stops all calls of its account, or only the kind in `calls`. The
        breakers of merchants' accounts and of single kinds of calls are listed once
        their state has changed.
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
        """Pause an account: stop all its calls, or one kind of them.

        Its payments wait until the account is resumed, or move to the merchant's next
        account. Calls in progress are completed. Workers follow within two seconds.
        """
        by, stored, reason, name = self._parse_request(account)
        breakers = self.services.breakers
        breaker = breakers.open(
            name, trip_reason=TripReason.OPERATOR, reason=reason, by=by
        )
        return self._answer(name, stored, breaker)

    @_change_route("resume")
    def resume(self, account: str) -> Response:
        """Resume an account: close its breaker, regardless of the reason it is open.

        Breakers of single kinds of calls stay unchanged unless `calls` names the kind.
        """
        by, stored, reason, name = self._parse_request(account)
        breaker = self.services.breakers.close(name, reason=reason, by=by)
        return self._answer(name, stored, breaker)

    def _parse_request(
        self, account: str
    ) -> tuple[str, StoredAccount | None, str, str]:
        """Returns the author, the stored account, the reason and the breaker's name."""
        key = auth.require_operator(request, self.services)
        body = parsing.parse_body(request, AccountPauseRequest)
        stored = self._load_stored(account).get(account)
        if stored is None and account not in set(ProviderName):
            raise Problem(ProblemCode.BREAKER_NOT_FOUND)
        calls = CallKind(body.calls) if body.calls else None
        by = f"{key.merchant} {key.id}"
        return by, stored, body.reason, breaker_name(account, calls)

    def _load_stored(self, *names: str) -> dict[str, StoredAccount]:
        """Returns the merchants' accounts of our mode among ``names``."""
        ids = [one for one in names if one not in set(ProviderName)]
        if not ids:
            return {}
        mode = self.services.settings.mode
        found = self.services.accounts.list(ids=ids)
        return {one.id: one for one in found if one.mode is mode}

    def _answer(
        self, name: str, stored: StoredAccount | None, breaker: CircuitBreaker | None
    ) -> Response:
        """Answers with the breaker's current state, even if it did not change."""
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
