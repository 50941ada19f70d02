"""`payments merchants set --route-on`: the check of decline codes."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from runtime.settings import Settings
from tests.support.running_stack import payments


def run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command on this test's database."""
    return payments("merchants", *arguments, environment=settings.environment())


def chosen(settings: Settings) -> Any:
    """The shop's stored codes."""
    return json.loads(run(settings, "show", "shop", "--json").stdout)["route_on"]


def test_codes_are_accepted_in_the_spelling_of_either_provider(
    settings: Settings,
) -> None:
    codes = "do_not_honor, INSTRUMENT_DECLINED,do_not_honor"
    done = run(settings, "set", "shop", "--route-on", codes)
    assert (done.returncode, done.stderr) == (0, "")
    assert chosen(settings) == ["do_not_honor", "instrument_declined"]
    assert run(settings, "set", "shop", "--route-on", "").returncode == 0
    assert chosen(settings) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("do_not_honour", "mean do_not_honor?"),
        ("insuficient_funds", "mean insufficient_funds?"),
        ("issuer_unavailable", "mean issuer_not_available?"),
        ("do-not-honor", "mean do_not_honor?"),
        ("sk_test_1234567890", "such as"),
        ("x" * 81, "such as"),
    ],
)
def test_a_malformed_code_is_refused_and_nothing_changes(
    settings: Settings, code: str, message: str
) -> None:
    run(
        settings,
        "set",
        "shop",
        "--duplicate-policy",
        "paid",
        "--route-on",
        "do_not_honor",
    )
    refused = run(
        *(settings, "set", "shop", "--duplicate-policy", "none"),
        *("--route-on", f"card_declined,{code}"),
    )
    assert refused.returncode == 2
    assert "is no decline code" in refused.stderr
    assert message in " ".join(refused.stderr.split())
    left = json.loads(run(settings, "show", "shop", "--json").stdout)
    assert left == {
        "merchant": "shop",
        "duplicate_policy": "paid",
        "route_on": ["do_not_honor"],
    }


def test_an_unknown_code_is_accepted_with_a_warning(settings: Settings) -> None:
    done = run(settings, "set", "shop", "--route-on", "moon_in_the_way,do_not_honor")
    assert done.returncode == 0
    assert "moon_in_the_way" in done.stderr and "do_not_honor" not in done.stderr
    assert chosen(settings) == ["moon_in_the_way", "do_not_honor"]
