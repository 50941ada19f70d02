"""What is believed of a message in Redis."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from runtime.queue.kombu_transport import sanitize_message
from runtime.queue.wakeups import DUE_PAYMENTS, NEW_PAYMENTS, GROUP_SIZE, WEBHOOKS

TASKS = {one.task: one.queue for one in (NEW_PAYMENTS, DUE_PAYMENTS, WEBHOOKS)}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def message(ids: object, **headers: object) -> dict[str, Any]:
    """One as a wake-up queue sends it; ``headers`` are more than its task."""
    body = json.dumps([[ids], {"more": 1}, {"callbacks": [{"task": "x"}]}])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/x-python-serialize",
        "headers": {"task": NEW_PAYMENTS.task, "id": "theirs", **headers},
        "properties": {"reply_to": "somebody", "delivery_tag": "theirs"},
    }


def named(knock: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(knock["body"]))


def test_the_task_and_the_ids_are_taken_over_and_nothing_else() -> None:
    knock = sanitize_message(
        message(["pay_1", 7, "pay_2"], eta="2099-01-01", compression="z")
    )
    assert named(knock) == [[["pay_1", "pay_2"]], {}, {}]
    assert knock["headers"].keys() == {"lang", "task", "id"}
    assert knock["headers"]["id"] == knock["properties"]["delivery_tag"] != "theirs"
    assert knock["content-type"] == "application/json"
    assert "reply_to" not in knock["properties"]


def test_what_is_put_back_can_be_read_again() -> None:
    knock = sanitize_message(message(["pay_1"]))
    assert named(sanitize_message(knock)) == named(knock)


def test_no_message_names_more_than_a_group() -> None:
    [[ids], *_] = named(
        sanitize_message(message([f"pay_{n}" for n in range(GROUP_SIZE * 3)]))
    )
    assert len(ids) == GROUP_SIZE


def test_a_message_is_no_longer_than_ours_are() -> None:
    long, short = "x" * 65, "x" * 64
    [[ids], *_] = named(sanitize_message(message([long, short])))
    assert ids == [short]
    with pytest.raises(ValueError):
        sanitize_message(message(["x" * 20_000]))


@pytest.mark.parametrize("task", ["no.such.task", "celery.backend_cleanup", "", None])
def test_no_other_task_can_be_named(task: object) -> None:
    with pytest.raises(LookupError):
        sanitize_message(message(["pay_1"], task=task))


@given(
    anything
    | st.fixed_dictionaries(
        {
            "headers": anything
            | st.fixed_dictionaries({"task": anything | st.sampled_from([*TASKS])}),
            "body": anything
            | anything.map(lambda one: base64.b64encode(json.dumps(one).encode())),
        }
    )
)
def test_anything_else_names_ours_or_is_an_error(given: Any) -> None:
    try:
        knock = sanitize_message(given)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return
    assert TASKS[knock["headers"]["task"]]
    [[ids], *_] = named(knock)
    assert all(isinstance(one, str) for one in ids)
