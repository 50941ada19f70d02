"""The operators' calls under ``/v1/operations``: find, preview, run, resolve."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from flask import Response, request

from application import operator_actions
from application.logs import get_logger
from domain.errors import ReplayNotFound
from domain.payments.operation import Operation
from domain.payments.operator_actions import Intervention, decide_replay
from domain.payments.payment import Payment
from domain.payments.submission import Mode
from domain.replays import ReplayItem, ReplaySet, ReplayRun
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

log = get_logger(__name__)

_SETS: Final = "/v1/operations/replays"
_ONE: Final = f"{_SETS}/<replay_id>"
_REPLAY_ID: Final = re.compile(patterns.REPLAY_ID)
#: The number of an item in a cursor.
_NUMBER: Final = r"^[0-9]{1,6}$"
#: Items in the answer to an action; the rest is read page by page.
_FIRST_PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class ReplayRoutes:
    """The calls with their dependencies."""

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

        By default these are the operations that need an operator: those in review, and
        dead letters. For operators and admins.
        """
        auth.require_operator(request, self.services)
        query = parsing.parse_query(request, FoundQuery)
        search = query.search()
        found = operator_actions.find_payments(
            search,
            before=parsing.decode_cursor(query.cursor, patterns.PAYMENT_ID),
            limit=query.limit + 1,
            context=self.services.operator_context,
        )
        shown, cursor = parsing.split_page(
            found, query.limit, position=attrgetter("id")
        )
        data = [
            self._render_found(one, operation)
            for one in shown
            for operation in search.matching(one)
        ]
        return rendering.json_response(
            models.FoundList(
                object="list",
                data=data,
                has_more=cursor is not None,
                next_cursor=cursor,
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

        Nothing is carried out yet. The answer shows the effect on each operation, and
        totals. A set has at most 10,000 operations.
        """
        key = auth.require_operator(request, self.services)
        body = parsing.parse_body(request, PreviewRequest)
        replay = operator_actions.preview_replay(
            body.search(),
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
        """Read a set: its items page by page, and the progress of its run."""
        auth.require_operator(request, self.services)
        query = parsing.parse_query(request, ReplayQuery)
        _check_id(replay_id)
        after = int(parsing.decode_cursor(query.cursor, _NUMBER) or 0)
        found = self.services.operator_context.replays.get(replay_id)
        if found is None:
            raise ReplayNotFound
        return self._answer(found, after=after, limit=query.limit)

    @Route(
        "POST",
        f"{_ONE}/run",
        answers={202: models.ReplaySet},
        problems=(*openapi.OPERATOR_ACTION_PROBLEMS, ProblemCode.REPLAY_NOT_FOUND),
        takes={"path": ReplayPath, "body": RunRequest},
        tag="operations",
    )
    def run(self, replay_id: str) -> Response:
        """Carry out a set.

        The run continues in the background. Each payment is checked again when its turn
        comes, and skipped if it has changed. A running set is not affected. A canceled
        set continues with its remaining items.
        """
        key = auth.require_operator(request, self.services)
        body = parsing.parse_body(request, RunRequest)
        _check_id(replay_id)
        now = self.services.clock()
        run = ReplayRun(key.id, body.reason, body.rate, now)
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
        """Cancel a set. The items of up to one second are still carried out."""
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
        """Resolve an operation that needs an operator.

        An operation in review gets the outcome that the provider shows. A dead letter
        can only be discarded. With the provider's reference, a succeeded operation can
        be refunded, captured and looked up as usual. `amount` states the sum that moved
        if it is smaller than requested. A refusal becomes the payment's `last_error`,
        with the operator's key; after a review it can be changed to `succeeded` later.
        """
        key = auth.require_operator(request, self.services)
        body = parsing.parse_body(request, ResolveRequest)
        check_id(payment_id)
        payment = operator_actions.resolve(
            payment_id,
            body.operation,
            body.found,
            Intervention(key.id, body.reason),
            context=self.services.operator_context,
        )
        log.info("operation_resolved", payment=payment.id, operation=body.operation)
        return rendering.json_response(rendering.render_payment(payment))

    def _render_found(
        self, payment: Payment, operation: Operation
    ) -> models.FoundOperation:
        submission = payment.submission
        return models.FoundOperation(
            object="operation",
            **dict(rendering.render_operation(operation)),
            payment=payment.id,
            merchant=payment.merchant,
            provider=payment.provider,
            currency=submission.amount.currency,
            reference=submission.reference,
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
        shown, cursor = parsing.split_page(
            found, limit, position=lambda item: str(item.number)
        )
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
                outcome.value: count
                for outcome, count in replays.count_outcomes(replay.id).items()
            },
            items=models.ReplayItems(
                object="list",
                data=[_item(one) for one in shown],
                has_more=cursor is not None,
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
    """Raises ReplayNotFound for a malformed id before it reaches the database."""
    if not _REPLAY_ID.match(replay_id):
        raise ReplayNotFound
