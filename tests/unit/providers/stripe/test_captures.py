"""Tests of reading our captures in metadata that others also write."""

from __future__ import annotations

from typing import Any

import pytest

from providers.stripe.captures import parse_parts
from providers.stripe.client import StripeObject

OURS, OTHER = f"op_{1:026d}", f"op_{2:026d}"


@pytest.mark.parametrize(
    "foreign",
    [
        *({"capture_method": "manual"}, {"capture_": "5"}, {"capture_op_1": "5"}),
        *({f"capture_{OTHER}": value} for value in ("x", "-5", "1_0", "", "\u0663", 5)),
        {f"capture_{OTHER}": "9" * 5000},
        {f"capture_{OTHER}\n": "5"},
    ],
)
def test_foreign_metadata_named_like_a_capture_is_ignored(
    foreign: dict[str, Any],
) -> None:
    intent = StripeObject({"metadata": {f"capture_{OURS}": "500", **foreign}})
    assert parse_parts(intent) == {OURS: 500}


@pytest.mark.parametrize("metadata", [None, [], "capture_", 5])
def test_an_intent_with_metadata_of_another_shape_has_no_captures(
    metadata: object,
) -> None:
    assert parse_parts(StripeObject({"metadata": metadata})) == {}
    assert parse_parts(StripeObject({})) == {}
