"""The operators' calls under ``/v1/operations``: find, freeze, run, resolve."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flask import Response, request

from application import operator_actions
from domain.errors import ReplayNotFound
from domain.payments.operation import Operation
from domain.payments.operator_actions import Intervention, decide_replay
from domain.payments.payment import Payment
from domain.payments.submission import Mode
from domain.replays import ReplayItem, ReplaySet, ReplayRun
from runtime import logs
from runtime.container import WebServices
from web import auth, openapi, parsing, rendering
from web.models import patterns, replays as models, responses
from web.models.replays import (
    CancelRequest,
    FoundQuery,
    PreviewRequest,
    ReplayPath,
    ReplayQuery,
    ResolveRequest,
    RunRequest,
)
from web.models.requests import PaymentPath
from web.openapi import Route
from web.problem_codes import ProblemCode
from web.routes.payments import check_id

log = logs.get_logger()

_SETS: Final = "/v1/operations/replays"
_ONE: Final = f"{_SETS}/<replay_id>"
_REPLAY_ID: Final = re.compile(patterns.REPLAY_ID)
#: An item's number, as a cursor hides it.
_NUMBER: Final = r"^[0-9]{1,6}$"
#: Items that an act answers with; the rest is read page by page.
_FIRST_PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class ReplayRoutes:
    """The calls, with what they need."""

    services: WebServices

    @Route(
        "GET",
        "/v1/operations/payments",
        answers={200: models.FoundList},
        problems=(
            *openapi.OPERATOR_PROBLEMS,
            ProblemCode.INVALID_QUERY,
            ProblemCode.CONFLICT,
        ),
        takes={"query": FoundQuery},
        tag="operations",
    )
    def find(self) -> Response:
        """Find operations of all merchants.

        By default those that wait for a person: in review, and dead letters. For
        operators and admins.
        """
        auth.require_operator(request, self.services)
        asked = parsing.parse_query(request, FoundQuery)
        last = asked.cursor and parsing.decode_cursor(asked.cursor, patterns.PAYMENT_ID)
        search = asked.search()
        found = operator_actions.find_payments(
            search,
            before=last or None,
            limit=asked.limit + 1,
            context=self.services.operator_context,
        )
        shown = found[: asked.limit]
        more = len(found) > len(shown)
        cursor = parsing.encode_cursor(shown[-1].id) if more else None
        data = [
            self._render_found(one, operation)
            for one in shown
            for operation in search.matching(one)
        ]
        return rendering.json_response(
            models.FoundList(
                object="list", data=data, has_more=more, next_cursor=cursor
            )
        )

    @Route(
        "POST",
        _SETS,
        answers={201: models.ReplaySet},
        problems=openapi.OPERATOR_ACTION_PROBLEMS,
        takes={"body": PreviewRequest},
        headers={201: ("Location",)},
        tag="operations",
    )
    def preview(self) -> Response:
        """Freeze a set of operations for a replay.

        Nothing happens to them yet: the answer says what would, for each and in sum.
        At most 10,000 operations.
        """
        key = auth.require_operator(request, self.services)
        asked = parsing.parse_body(request, PreviewRequest)
        replay = operator_actions.preview_replay(
            asked.search(),
            by=key.id,
            mode=key.mode,
            new_id=self.services.new_id,
            context=self.services.operator_context,
        )
        log.info("replay_previewed", replay=replay.id, count=replay.count)
        where = {"Location": f"/v1/operations/replays/{replay.id}"}
        return self._answer(replay, 201, headers=where)

    @Route(
        "GET",
        _ONE,
        answers={200: models.ReplaySet},
        problems=(
            *openapi.OPERATOR_PROBLEMS,
            ProblemCode.REPLAY_NOT_FOUND,
            ProblemCode.INVALID_QUERY,
        ),
        takes={"path": ReplayPath, "query": ReplayQuery},
        tag="operations",
    )
    def read(self, replay_id: str) -> Response:
        """Read a set, its items page by page, and how far its run has come."""
        auth.require_operator(request, self.services)
        asked = parsing.parse_query(request, ReplayQuery)
        _check_id(replay_id)
        last = parsing.decode_cursor(asked.cursor, _NUMBER) if asked.cursor else "0"
        found = self.services.operator_context.replays.get(replay_id)
        if found is None:
            raise ReplayNotFound
        return self._answer(found, after=int(last), limit=asked.limit)

    @Route(
        "POST",
        f"{_ONE}/run",
        answers={202: models.ReplaySet},
        problems=(*openapi.OPERATOR_ACTION_PROBLEMS, ProblemCode.REPLAY_NOT_FOUND),
        takes={"path": ReplayPath, "body": RunRequest},
        tag="operations",
    )
    def run(self, replay_id: str) -> Response:
        """Have a set carried out.

        It goes on though nobody watches. Each payment is judged again at its turn, and
        left alone where it has moved on. A set under way stays as it is; one that was
        stopped goes on with what is left.
        """
        key = auth.require_operator(request, self.services)
        asked = parsing.parse_body(request, RunRequest)
        _check_id(replay_id)
        now = self.services.clock()
        run = ReplayRun(key.id, asked.reason, asked.rate, now)
        replay = operator_actions.start_replay(
            replay_id, run, context=self.services.operator_context
        )
        log.info("replay_started", replay=replay.id, count=replay.count)
        return self._answer(replay, 202)

    @Route(
        "POST",
        f"{_ONE}/cancel",
        answers={200: models.ReplaySet},
        problems=(*openapi.OPERATOR_ACTION_PROBLEMS, ProblemCode.REPLAY_NOT_FOUND),
        takes={"path": ReplayPath, "body": CancelRequest},
        tag="operations",
    )
    def cancel(self, replay_id: str) -> Response:
        """Stop a set; up to a second's items are still carried out."""
        key = auth.require_operator(request, self.services)
        parsing.parse_body(request, CancelRequest, optional=True)
        _check_id(replay_id)
        replay = operator_actions.cancel_replay(
            replay_id, by=key.id, context=self.services.operator_context
        )
        log.info("replay_canceled", replay=replay.id)
        return self._answer(replay)

    @Route(
        "POST",
        "/v1/operations/payments/<payment_id>/resolve",
        answers={200: responses.Payment},
        problems=(*openapi.OPERATOR_ACTION_PROBLEMS, ProblemCode.PAYMENT_NOT_FOUND),
        takes={"path": PaymentPath, "body": ResolveRequest},
        tag="operations",
    )
    def resolve(self, payment_id: str) -> Response:
        """Say what became of an operation that waits for a person.

        Of one in review it is what the provider shows; a dead letter can be discarded.
        With the provider's reference, what succeeded can be refunded, captured or
        looked up as if its answer had been heard; the amount says how much moved, where
        that is less than was asked for. A no is the payment's `last_error`, with the
        key that said it. Of a review it can be taken back, by `succeeded`.
        """
        key = auth.require_operator(request, self.services)
        asked = parsing.parse_body(request, ResolveRequest)
        check_id(payment_id)
        who = Intervention(key.id, asked.reason)
        done = operator_actions.resolve(
            payment_id,
            asked.operation,
            asked.found,
            who,
            context=self.services.operator_context,
        )
        log.info("operation_resolved", payment=done.id, operation=asked.operation)
        return rendering.json_response(rendering.render_payment(done))

    def _render_found(
        self, payment: Payment, operation: Operation
    ) -> models.FoundOperation:
        asked = payment.submission
        return models.FoundOperation(
            object="operation",
            **dict(rendering.render_operation(operation)),
            payment=payment.id,
            merchant=payment.merchant,
            provider=payment.provider,
            currency=asked.amount.currency,
            reference=asked.reference,
            error=operation.error,
            replay=decide_replay(payment, operation, now=self.services.clock()),
            created_at=payment.created_at,
            version=payment.version,
        )

    def _answer(
        self,
        replay: ReplaySet,
        status: int = 200,
        *,
        after: int = 0,
        limit: int = _FIRST_PAGE,
        headers: dict[str, str] | None = None,
    ) -> Response:
        replays, run = self.services.operator_context.replays, replay.run
        found = replays.list_items(replay.id, after=after, limit=limit + 1)
        shown = found[:limit]
        more = len(found) > len(shown)
        cursor = parsing.encode_cursor(str(shown[-1].number)) if more else None
        document = models.ReplaySet(
            id=replay.id,
            object="replay",
            livemode=replay.mode is Mode.LIVE,
            stage=replay.stage,
            search=dict(replay.search),
            count=replay.count,
            totals=[
                models.ReplayTotal(
                    action=one.action,
                    currency=one.currency,
                    count=one.count,
                    amount=one.amount,
                )
                for one in replay.totals
            ],
            outcomes={
                came.value: n for came, n in replays.count_outcomes(replay.id).items()
            },
            items=models.ReplayItems(
                object="list",
                data=[_item(one) for one in shown],
                has_more=more,
                next_cursor=cursor,
            ),
            by=replay.by,
            created_at=replay.created_at,
            run_by=run.by if run else None,
            reason=run.reason if run else None,
            rate=run.rate if run else None,
            run_at=run.at if run else None,
            canceled_by=replay.canceled_by,
            ended_at=replay.ended_at,
        )
        return rendering.json_response(document, status, headers)


def _item(item: ReplayItem) -> models.ReplayItem:
    return models.ReplayItem(
        object="replay_item",
        number=item.number,
        payment=item.payment,
        operation=item.operation,
        version=item.version,
        state=item.state,
        action=item.action,
        amount=item.amount,
        currency=item.currency,
        merchant=item.merchant,
        provider=item.provider,
        outcome=item.outcome,
    )


def _check_id(replay_id: str) -> None:
    """What is no id of ours does not reach the database."""
    if not _REPLAY_ID.match(replay_id):
        raise ReplayNotFound
