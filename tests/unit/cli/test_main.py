"""Errors and help of the command line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cli.main import ErrorReportingGroup, main
from runtime import processes

PAID = json.dumps({"amount": 1999, "currency": "USD", "provider": "stripe"})
NO_STACK = {"PAYMENTS_MONGO_URL": "", "PAYMENTS_URL": "", "PAYMENTS_API_KEY": ""}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run(home: Path, *arguments: str, stdin: str = "", **environment: str) -> Result:
    given = {**NO_STACK, "PAYMENTS_HOME": str(home), **environment}
    return CliRunner().invoke(main, arguments, input=stdin, env=given)


def refusal(result: Result, *, code: int = 1) -> str:
    """The one line on standard error of a command that failed with ``code``."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    return line.removeprefix("Error: ")


def test_an_empty_file_is_an_error(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "empty.ndjson"
    file.write_text("\n\n")
    assert refusal(run(home, "submit", str(file))) == f"no payments in {file}"
    assert refusal(run(home, "submit", "-")) == "no payments in standard input"


@pytest.mark.parametrize(
    "arguments",
    [("submit", "-"), ("show", "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("keys", "list")],
)
def test_a_command_without_a_stack_names_the_next_step_at_once(
    home: Path, arguments: tuple[str, ...]
) -> None:
    began = time.monotonic()
    message = refusal(run(home, *arguments, stdin=PAID))
    assert message.startswith(f"no stack runs in {home}. Start one with `payments up`")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "127.0.0.1", "ftp://a", "http://", "http://a:x", "http://a b"],
)
def test_an_invalid_address_is_an_error_of_one_line(home: Path, url: str) -> None:
    done = run(
        home, "submit", "-", stdin=PAID, PAYMENTS_URL=url, PAYMENTS_API_KEY="sk_test_1"
    )
    assert refusal(done, code=2).startswith("PAYMENTS_URL is not an address")


@pytest.mark.parametrize("key", ["sk test", "sk_test_é", "sk_test\nX: y"])
def test_an_invalid_key_is_an_error_of_one_line(home: Path, key: str) -> None:
    url = "http://127.0.0.1:1"
    done = run(home, "submit", "-", stdin=PAID, PAYMENTS_URL=url, PAYMENTS_API_KEY=key)
    assert refusal(done, code=2).startswith("PAYMENTS_API_KEY has")


def test_a_reference_instead_of_an_id_gets_advice(home: Path) -> None:
    message = refusal(run(home, "show", "order-1001"))
    assert message.endswith("GET /v1/payments?reference=order-1001")


SET = "rpl_01ARZ3NDEKTSV4RRFFQ69G5FAV"
PAYMENT = "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("replay", "order-1"), "give IDs of payments"),
        (("replay", PAYMENT, SET), "give IDs of payments"),
        (("replay", PAYMENT, "--reason", "r"), "give the ID of a set"),
        (("replay", "--cancel"), "give the ID of a set"),
        (("replay", SET, "--merchant", "m"), "a set is frozen"),
        (("replay", SET, "--reason", "r", "--cancel"), "a set is frozen"),
        (
            ("resolve", "x", "y", "--as", "canceled", "--reason", "r"),
            "this is not a pay",
        ),
        (
            ("resolve", PAYMENT, "y", "--as", "canceled", "--reason", "r"),
            "this is not a",
        ),
    ],
)
def test_a_contradictory_replay_is_an_error_of_one_line(
    home: Path, arguments: tuple[str, ...], text: str
) -> None:
    assert refusal(run(home, *arguments)).startswith(text)


def test_an_invalid_age_is_an_error(home: Path) -> None:
    done = run(home, "dead", "--older-than", "yesterday")
    assert done.exit_code == 2
    assert "write an age like 30m, 2h or 3d" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give either --since TIME"),
        (("--last", "--since", "2026-01-01"), "give either --since TIME"),
        (("--last", "--until", "2026-01-01"), "give either --since TIME"),
        (("--since", "yesterday"), "write a time like 2026-11-20"),
        (("--since", "2126-01-01"), "must be before --until, and before now"),
        (("--since", "2026-01-02", "--until", "2026-01-01"), "must be before --until"),
        (("--since", "2026-01-01", "--provider", "bank"), "not one of"),
    ],
)
def test_an_invalid_comparison_is_an_error_and_exits_with_2(
    home: Path, arguments: tuple[str, ...], text: str
) -> None:
    done = run(home, "reconcile", *arguments)
    assert done.exit_code == 2, done.output
    assert text in " ".join(done.stderr.split())
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile", "--since", "2026-01-01"),
        ("merchants", "show", "shop"),
        ("webhooks",),
        ("keys", "list"),
    ],
)
def test_a_command_that_needs_a_database_names_both_ways_to_one(
    home: Path, arguments: tuple[str, ...]
) -> None:
    message = refusal(run(home, *arguments))
    assert message.startswith(f"no stack runs in {home}")
    assert "`payments up`" in message and "PAYMENTS_MONGO_URL" in message


@pytest.mark.parametrize("name", ["", "a b", "é", "a" * 65, "a\n"])
def test_a_merchant_of_other_characters_gets_no_key(home: Path, name: str) -> None:
    done = run(home, "keys", "create", "--merchant", name)
    assert done.exit_code == 2
    assert "1 to 64 of the characters" in done.stderr


def test_the_help_of_submit_explains_equal_lines(home: Path) -> None:
    message = " ".join(run(home, "submit", "--help").stdout.split())
    assert "the same line in another file is the same payment" in message
    assert "the same line twice in a file is two payments" in message


def test_a_file_with_an_invalid_line_is_not_sent(home: Path) -> None:
    done = run(
        home,
        *("submit", "-"),
        stdin=f"{PAID}\n{{\n",
        PAYMENTS_URL=f"http://127.0.0.1:{processes.free_port()}",
        PAYMENTS_API_KEY="sk_test_1",
    )
    message = refusal(done)
    assert message.startswith("line 2 is not a payment") and message.endswith(
        "Nothing was sent"
    )


def test_an_interrupted_command_exits_with_130() -> None:
    def stops() -> None:
        raise KeyboardInterrupt

    group = ErrorReportingGroup(commands=[click.Command("stops", callback=stops)])
    stopped = CliRunner().invoke(group, ["stops"])
    assert (stopped.exit_code, stopped.output) == (130, "")


@pytest.mark.parametrize("move", ["pause", "resume"])
def test_a_kind_of_calls_is_named_as_the_api_names_it(move: str) -> None:
    message = CliRunner().invoke(main, ["accounts", move, "--help"], terminal_width=200)
    assert "[charges|captures|voids|refunds|reads|disputes]" in message.output
