"""A file of payments becomes jobs whose keys make a second submission harmless."""

from __future__ import annotations

import json

import pytest

from cli.commands.payment_file import Job, read_jobs
from local_stack.state import StackError

BODY = {"amount": 1999, "currency": "USD", "provider": "stripe"}


def read(*lines: str) -> list[Job]:
    return read_jobs([line.encode() for line in lines])


def test_a_bare_payment_gets_the_same_key_each_time() -> None:
    first, again = read(json.dumps(BODY)), read(json.dumps(BODY))
    assert first == again
    assert first[0].body == BODY
    assert 1 <= len(first[0].key) <= 255


def test_the_order_of_fields_and_spaces_do_not_make_another_payment() -> None:
    (one,) = read('{"amount": 1, "currency": "USD"}')
    (two,) = read('{"currency":"USD","amount":1}')
    assert one.key == two.key


def test_the_same_line_twice_in_a_file_is_two_payments() -> None:
    one, two = read(*[json.dumps(BODY)] * 2)
    assert one.key != two.key


def test_a_line_may_name_its_key_and_what_it_expects() -> None:
    line = {"idempotency_key": "order-1", "payment": BODY, "expect": "captured"}
    (job,) = read(json.dumps(line))
    assert (job.key, job.body, job.expect) == ("order-1", BODY, "captured")


def test_empty_lines_are_skipped_and_lines_keep_their_numbers() -> None:
    jobs = read("", json.dumps(BODY), "  \n", json.dumps({**BODY, "amount": 2}))
    assert [job.line for job in jobs] == [2, 4]


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"payment": 3}', '{"expect": "failed"}']
)
def test_a_line_that_is_not_a_payment_is_named(line: str) -> None:
    with pytest.raises(StackError, match="^line 2 is not a payment"):
        read(json.dumps(BODY), line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"amount": NaN}', "NaN is not JSON"),
        ('{"amount": -Infinity}', "-Infinity is not JSON"),
        ('{"amount": 1e400}', "too large"),
        ('{"amount": 1, "amount": 2}', '"amount" is given twice'),
        ('{"a": ' * 17 + "1" + "}" * 17, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"payment": {}, "expected": "failed"}', '"expected" is unknown'),
        ('{"payment": {}, "expect": "paid"}', "expect must be one of"),
        ('{"payment": {}, "expect": ["failed"]}', "expect must be one of"),
    ],
)
def test_an_invalid_line_is_refused_before_any_is_sent(line: str, why: str) -> None:
    with pytest.raises(StackError, match=f"^line 1 is not a payment: .*{why}"):
        read(line)


@pytest.mark.parametrize("key", ["", " a", "a ", "é", "a\n", "a" * 256, '"a"', 7, None])
def test_an_invalid_key_is_refused(key: object) -> None:
    line = json.dumps({"idempotency_key": key, "payment": BODY})
    with pytest.raises(StackError, match="idempotency_key must be 1 to 255"):
        read(line)


@pytest.mark.parametrize("key", ["a", "order 1", "~" * 255])
def test_a_key_of_printable_ascii_is_accepted_unchanged(key: str) -> None:
    (job,) = read(json.dumps({"idempotency_key": key, "payment": BODY}))
    assert job.key == key


def test_a_line_that_is_not_utf_8_is_named() -> None:
    with pytest.raises(StackError, match="^line 2 is not a payment: it is not UTF-8"):
        read_jobs([json.dumps(BODY).encode(), b'{"reference": "\xff"}'])


def test_a_byte_order_mark_at_the_beginning_is_ignored() -> None:
    (job,) = read_jobs([b"\xef\xbb\xbf" + json.dumps(BODY).encode()])
    assert job == read(json.dumps(BODY))[0]


def test_the_first_five_invalid_lines_are_named() -> None:
    with pytest.raises(StackError) as refused:
        read(*["{"] * 7)
    message = str(refused.value)
    assert all(f"line {number} is not a payment" in message for number in range(1, 6))
    assert message.endswith("and 2 more. Nothing was sent")
