"""Tables that people copy ids from."""

from __future__ import annotations

from typing import Any

import pytest

from cli import output
from cli.commands.payment_file import Outcome
from cli.commands.payments import _fields, _summary, _table

ID = "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def outcome(**given: Any) -> Outcome:
    usual: dict[str, Any] = {
        **{"line": 1, "reference": "order 1001", "provider": "stripe"},
        **{"amount": 1999, "currency": "USD", "id": ID, "status": "captured"},
        **{"error": None, "expected": None, "is_repeat": False, "ok": True},
    }
    return Outcome(**{**usual, **given})


def test_ids_and_references_stay_whole_on_a_narrow_screen() -> None:
    table = output.table(
        ["reference", "error", "payment"],
        [["order 1001", "a long story " * 20, ID]],
        whole=["reference", "payment"],
        width=40,
    )
    assert ID in table and "order 1001" in table


def test_empty_columns_are_left_out() -> None:
    table = output.table(["a", "b"], [["1", "-"], ["2", "-"]])
    assert table.split()[0] == "a" and "b" not in table
    assert "b" in output.table(["a", "b"], [["1", "-"], ["2", "3"]])


@pytest.mark.parametrize("text", ["\ud800", "\x1b[2J", "a\rb"])
def test_an_unprintable_character_is_a_question_mark(text: str) -> None:
    table = output.table(["reference"], [[text]])
    assert "?" in table and text not in table
    table.encode()


def test_a_table_shows_which_payments_existed_already() -> None:
    outcomes = [outcome(), outcome(is_repeat=True)]
    lines = _table(outcomes).splitlines()
    assert "repeat" in lines[0]
    assert "yes" in lines[-1].split(ID)[0].rsplit("yes", 1)[0], "ok and a repeat"
    assert _summary(outcomes) == "2 submitted, 1 of them existed already"


def test_the_summary_counts_refused_payments() -> None:
    outcomes = [outcome(), outcome(id=None, status=None, ok=False)]
    assert _summary(outcomes) == "1 of 2 submitted"
    assert _summary([outcome()]) == "1 submitted"


def test_a_payment_is_shown_with_money_and_without_braces() -> None:
    fee = {"fee": 88, "fee_currency": "EUR"}
    operation = {"id": "op_1", "kind": "charge", "amount": 1999, "due_at": None, **fee}
    dispute = {"id": "dp_1", "state": "lost", "inquiry": False, "amount": 1999}
    rows = dict(
        _fields(
            {
                **{"id": ID, "object": "payment", "amount": 1999, "currency": "USD"},
                **{"amount_captured": 0, "operations": [operation]},
                **{"amount_fee": 88, "fee_currency": "EUR"},
                **{"disputes": [dispute]},
                **{"metadata": {"basket": "77"}, "last_error": None},
            }
        )
    )
    assert rows == {
        "id": ID,
        "amount": "19.99 USD",
        "amount_captured": "0.00 USD",
        "operation charge": "id op_1, amount 19.99 USD, fee 0.88 EUR",
        "amount_fee": "0.88 EUR",
        "dispute": "id dp_1, state lost, amount 19.99 USD",
        "metadata": "basket 77",
        "last_error": "-",
    }
