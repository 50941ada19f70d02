"""An answer moves the operation by its verdict."""

from __future__ import annotations

import pytest

from domain.payments.answer import Verdict
from domain.payments.states import Trigger


@pytest.mark.parametrize(
    ("verdict", "trigger"),
    [
        (Verdict.SUCCEEDED, Trigger.SUCCEEDED),
        (Verdict.DECLINED, Trigger.DECLINED),
        (Verdict.REJECTED, Trigger.REJECTED),
        (Verdict.ACTION_REQUIRED, Trigger.ACTION_REQUIRED),
        (Verdict.APPROVED, Trigger.APPROVED),
        (Verdict.PENDING, Trigger.PENDED),
        (Verdict.CANCELED, Trigger.CANCELED),
        (Verdict.EXPIRED, Trigger.EXPIRED),
    ],
)
def test_each_verdict_has_its_trigger(verdict: Verdict, trigger: Trigger) -> None:
    assert verdict.trigger is trigger


def test_every_verdict_has_a_trigger_of_its_own() -> None:
    assert len({verdict.trigger for verdict in Verdict}) == len(Verdict)
