"""Tests of each row of the texts in docs/providers.md.

A long optional text never fails a payment. The simulators count UTF-8 bytes, the
strictest count possible.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.support.workbench import Workbench

#: A field of a payment, its longest value, and the truncated value at the provider.
TEXTS: Final[dict[str, tuple[str, str, str]]] = {
    "paypal: description": ("description", "a" * 126 + "😀", "a" * 126),
    "stripe: description": ("description", "😀" * 500, "😀" * 250),
    "stripe: reference": ("reference", "😀" * 100, "😀" * 100),
}


@pytest.mark.parametrize("words", TEXTS)
def test_a_text_fits_by_any_count(bench: Workbench, words: str) -> None:
    provider = words.split(": ")[0]
    name, text, left = TEXTS[words]
    asked: dict[str, Any] = {name: text, "allow_duplicate_reference": True}
    payment_id = bench.complete_payment(provider, **asked)
    send = bench.stored(payment_id).first_operation.send
    assert send is not None and left == _sent(json.loads(send.body), name)
    assert [kind for kind, _ in bench.list_movements(payment_id)] == ["charge"]


def test_a_truncated_text_keeps_combining_marks_with_their_letter(
    bench: Workbench,
) -> None:
    text = "a" * 125 + "e\u0301" + "b" * 20
    payment_id = bench.complete_payment("paypal", description=text)
    send = bench.stored(payment_id).first_operation.send
    assert send is not None
    assert _sent(json.loads(send.body), "description") == "a" * 125


def _sent(body: Any, name: str) -> Any:
    """The text as it is sent."""
    [unit] = body.get("purchase_units", [body])
    return unit.get("metadata", unit)[name] if name == "reference" else unit[name]
