"""The sanitized form of messages in Redis."""

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
    """A wake-up message with further ``headers``."""
    body = json.dumps([[ids], {"more": 1}, {"callbacks": [{"task": "x"}]}])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/x-python-serialize",
        "headers": {"task": NEW_PAYMENTS.task, "id": "theirs", **headers},
        "properties": {"reply_to": "somebody", "delivery_tag": "theirs"},
    }


def decoded_body(sanitized: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(sanitized["body"]))


def test_a_sanitized_message_keeps_only_the_task_and_the_ids() -> None:
    sanitized = sanitize_message(
        message(["pay_1", 7, "pay_2"], eta="2099-01-01", compression="z")
    )
    assert decoded_body(sanitized) == [[["pay_1", "pay_2"]], {}, {}]
    assert sanitized["headers"].keys() == {"lang", "task", "id"}
    assert (
        sanitized["headers"]["id"]
        == sanitized["properties"]["delivery_tag"]
        != "theirs"
    )
    assert sanitized["content-type"] == "application/json"
    assert "reply_to" not in sanitized["properties"]


def test_a_sanitized_message_can_be_sanitized_again() -> None:
    sanitized = sanitize_message(message(["pay_1"]))
    assert decoded_body(sanitize_message(sanitized)) == decoded_body(sanitized)


def test_a_sanitized_message_has_one_group_of_ids_at_most() -> None:
    [[ids], *_] = decoded_body(
        sanitize_message(message([f"pay_{n}" for n in range(GROUP_SIZE * 3)]))
    )
    assert len(ids) == GROUP_SIZE


def test_long_ids_and_long_messages_are_dropped() -> None:
    long, short = "x" * 65, "x" * 64
    [[ids], *_] = decoded_body(sanitize_message(message([long, short])))
    assert ids == [short]
    with pytest.raises(ValueError):
        sanitize_message(message(["x" * 20_000]))


@pytest.mark.parametrize("task", ["no.such.task", "celery.backend_cleanup", "", None])
def test_a_message_of_another_task_is_refused(task: object) -> None:
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
def test_any_other_message_is_sanitized_or_refused(given: Any) -> None:
    try:
        sanitized = sanitize_message(given)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return
    assert TASKS[sanitized["headers"]["task"]]
    [[ids], *_] = decoded_body(sanitized)
    assert all(isinstance(one, str) for one in ids)
