"""Every stored code is read as one of the few review reasons."""

from __future__ import annotations

import pytest

from domain.payments.answer import Verdict
from domain.payments.review_reasons import FAMILIES, ReviewReason, out_of_turn
from domain.payments.states import State


@pytest.mark.parametrize("reason", ReviewReason)
def test_a_stored_reason_is_read_as_itself(reason: ReviewReason) -> None:
    assert ReviewReason.of(reason.value) is reason


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reason_with_a_detail_is_read_as_its_family(family: ReviewReason) -> None:
    assert ReviewReason.of(family.with_detail("restricted")) is family


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("state", State)
def test_an_answer_that_the_state_forbids_is_out_of_turn(
    verdict: Verdict, state: State
) -> None:
    code = out_of_turn(verdict, state)
    assert code == f"{verdict.value}_while_{state.value}"
    assert ReviewReason.of(code) is ReviewReason.OUT_OF_TURN


@pytest.mark.parametrize("error", ["something_new", "statuses", "", None])
def test_any_other_code_is_other(error: str | None) -> None:
    assert ReviewReason.of(error) is ReviewReason.OTHER
