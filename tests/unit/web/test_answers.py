"""The response models, as they are written."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from domain.payments.answer import NextActionType
from web import problems
from web.models import responses
from web.problem_codes import ProblemCode


def test_a_time_of_an_answer_has_three_digits_below_the_second() -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    event = responses.Event(
        object="event", seq=1, type="t", at=at, data={"by": "key", "count": 2}
    )
    assert json.loads(event.model_dump_json()) == {
        "object": "event",
        "seq": 1,
        "type": "t",
        "at": "2026-01-31T12:00:00.000Z",
        "data": {"by": "key", "count": 2},
    }


def test_an_answer_has_its_empty_fields() -> None:
    saved = responses.SavedMethod(id="pm_1", customer=None)
    assert json.loads(saved.model_dump_json()) == {"id": "pm_1", "customer": None}


def test_text_of_an_answer_is_not_escaped_to_ascii() -> None:
    page = responses.NextAction(type=NextActionType.REDIRECT, url="https://é.example")
    assert "https://é.example" in page.model_dump_json()


def test_a_problem_has_no_empty_fields() -> None:
    faults = [responses.FieldError(code="form", detail="must be a time", pointer="/at")]
    problem = problems.document(
        ProblemCode.INVALID_PAYMENT, request_id="req_1", errors=faults
    )
    written = json.loads(problems.encode(problem))
    assert written["errors"] == [
        {"pointer": "/at", "detail": "must be a time", "code": "form"}
    ]
    assert set(written) == {
        *("type", "title", "status", "detail", "code", "request_id", "errors"),
    }
