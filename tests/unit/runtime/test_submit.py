"""A file of payments becomes jobs whose keys make a second submission harmless."""

from __future__ import annotations

import json

import pytest

from runtime.stack.state import StackError
from runtime.cli.submit import read_jobs

BODY = {"amount": 1999, "currency": "USD", "provider": "stripe"}


def test_a_bare_payment_gets_the_same_key_each_time() -> None:
    first, again = read_jobs([json.dumps(BODY)]), read_jobs([json.dumps(BODY)])
    assert first == again
    assert first[0].body == BODY
    assert 1 <= len(first[0].key) <= 255


def test_the_order_of_fields_and_spaces_do_not_make_another_payment() -> None:
    (one,) = read_jobs(['{"amount": 1, "currency": "USD"}'])
    (two,) = read_jobs(['{"currency":"USD","amount":1}'])
    assert one.key == two.key


def test_the_same_line_twice_in_a_file_is_two_payments() -> None:
    one, two = read_jobs([json.dumps(BODY)] * 2)
    assert one.key != two.key


def test_a_line_may_name_its_key_and_what_it_expects() -> None:
    line = {"idempotency_key": "order-1", "payment": BODY, "expect": "captured"}
    (job,) = read_jobs([json.dumps(line)])
    assert (job.key, job.body, job.expect) == ("order-1", BODY, "captured")


def test_empty_lines_are_skipped_and_lines_keep_their_numbers() -> None:
    jobs = read_jobs(["", json.dumps(BODY), "  \n", json.dumps({**BODY, "amount": 2})])
    assert [job.line for job in jobs] == [2, 4]


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"payment": 3}'])
def test_a_line_that_is_no_payment_is_named(line: str) -> None:
    with pytest.raises(StackError, match="^line 2 is no payment"):
        read_jobs([json.dumps(BODY), line])
