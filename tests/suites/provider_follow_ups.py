"""The promises of every Provider about captures, voids and refunds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.errors import LookupRequired
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.operation import HoldEnd, Kind
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from tests.suites.accounts import PRICE, Account, Trouble, capture, refund, void


class FollowUpSuite:
    """Its subclass's module has a fixture ``account``, a new one."""

    def test_an_authorization_has_the_end_of_its_hold(self, account: Account) -> None:
        payment = account.held()
        assert payment.status is Status.AUTHORIZED
        assert payment.hold is not None and payment.hold.expires_at is not None
        assert payment.hold.expires_at > datetime.now(UTC)
        seen = account.look_up(payment)
        assert seen.expires_at == payment.hold.expires_at
        assert seen.honored_until == payment.hold.honored_until

    def test_a_declined_authorization_holds_nothing(self, account: Account) -> None:
        payment = account.held("declines")
        assert payment.first_operation.state is State.DECLINED
        assert payment.hold is None
        assert account.kinds_and_amounts(payment) == []

    def test_a_capture_in_part_that_is_final_releases_the_rest(
        self, account: Account
    ) -> None:
        payment = account.execute(capture(account.held(), 700, final=True))
        assert payment.captured == 700
        assert payment.hold is not None and payment.hold.ended is HoldEnd.CAPTURED
        assert account.look_up(payment).moved == Money(700, "USD")
        assert account.kinds_and_amounts(payment) == [
            ("authorize", 1999),
            ("capture", 700),
        ]
        # The rest of the authorization does not shrink its original amount.
        assert account.look_up(payment, payment.first_operation).moved == PRICE

    @pytest.mark.parametrize("amounts", [(1999,), (600, 700), (600, 600, 799)], ids=str)
    @pytest.mark.parametrize("charged", [True, False], ids=["charged", "captured"])
    def test_each_of_several_refunds_is_found_by_its_own_lookup(
        self, account: Account, amounts: tuple[int, ...], charged: bool
    ) -> None:
        payment = (
            account.charged() if charged else account.execute(capture(account.held()))
        )
        for amount in amounts:
            payment = account.execute(refund(payment, amount))
        assert payment.refunded == sum(amounts)
        refunds = [one for one in payment.operations if one.kind is Kind.REFUND]
        assert len({one.refs["refund"] for one in refunds}) == len(amounts)
        for one in refunds:
            assert account.look_up(payment, one).moved == Money(one.amount, "USD")
        back = [
            each
            for kind, each in account.kinds_and_amounts(payment)
            if kind == "refund"
        ]
        assert back == list(amounts)

    def test_refund_with_a_lost_answer_is_distinct_from_an_equal_one(
        self, account: Account
    ) -> None:
        payment = account.execute(refund(account.charged(), 500))
        account.arm(Trouble.REQUEST_LOST)
        lost = account.execute(refund(payment, 500))
        assert account.look_up(lost).verdict is Verdict.ABSENT
        account.arm(Trouble.ANSWER_LOST)
        found = account.execute(refund(payment, 500))
        seen = account.look_up(found)
        assert seen.moved == Money(500, "USD")
        assert seen.refs["refund"] != payment.operations[-1].refs["refund"]

    def test_a_second_void_does_no_harm(self, account: Account) -> None:
        payment = account.held()
        voided, again = account.execute(void(payment)), void(payment)
        assert voided.hold is not None and voided.hold.ended is HoldEnd.VOIDED
        assert _send(account, again) in (LookupRequired, Verdict.SUCCEEDED)
        assert account.look_up(account.execute(again)).verdict is Verdict.SUCCEEDED
        assert account.kinds_and_amounts(voided)[1:] == [("void", 1999)]
        assert account.moved_amounts(again) == []

    def test_voided_hold_is_found_by_a_lookup_of_its_authorization(
        self, account: Account
    ) -> None:
        payment = account.execute(void(account.held()))
        assert (
            account.look_up(payment, payment.first_operation).verdict
            is Verdict.CANCELED
        )

    def test_capture_after_a_void_takes_no_money_and_a_lookup_has_the_reason(
        self, account: Account
    ) -> None:
        payment = account.held()
        account.execute(void(payment))
        late = capture(payment)
        assert _send(account, late) in (LookupRequired, Verdict.CANCELED)
        done = account.execute(late)
        asked = done.get_operation(late.operations[-1].id)
        assert account.look_up(done, asked).verdict is Verdict.CANCELED
        assert account.moved_amounts(late) == []

    def test_a_void_after_a_capture_is_declined(self, account: Account) -> None:
        payment = account.held()
        account.execute(capture(payment))
        late = account.execute(void(payment))
        seen = account.look_up(late)
        assert seen.verdict is Verdict.DECLINED
        assert seen.failure is not None
        assert seen.failure.code == "already_captured"
        assert account.moved_amounts(late) == []

    def test_an_external_capture_is_not_taken_for_ours(self, account: Account) -> None:
        payment = account.held()
        account.execute(capture(payment))
        ours = capture(payment)
        assert _send(account, ours) is LookupRequired
        seen = account.look_up(account.execute(ours))
        assert seen.verdict is Verdict.DECLINED
        assert seen.failure is not None
        assert seen.failure.code == "captured_at_provider"
        [theirs] = seen.external_movements
        assert (theirs.kind, theirs.money, theirs.final) == (Kind.CAPTURE, PRICE, True)
        assert account.moved_amounts(ours) == []

    def test_a_refund_of_externally_refunded_money_is_absent(
        self, account: Account
    ) -> None:
        payment = account.charged()
        account.execute(refund(payment))
        ours = refund(payment)
        assert _send(account, ours) is LookupRequired
        seen = account.look_up(account.execute(ours))
        assert seen.verdict is Verdict.ABSENT
        [theirs] = seen.external_movements
        assert (theirs.kind, theirs.money) == (Kind.REFUND, PRICE)
        assert theirs.parent_ref in ours.first_operation.refs.values()
        assert account.moved_amounts(ours) == []

    def test_refund_over_the_rest_is_a_final_refusal(self, account: Account) -> None:
        payment = account.charged()
        account.execute(refund(payment, 1500))
        ours = account.execute(refund(payment, 1500))
        assert ours.operations[-1].state is State.REJECTED
        assert account.moved_amounts(ours) == []

    def test_capture_over_the_hold_is_a_final_refusal(self, account: Account) -> None:
        asked = capture(account.held())
        last = replace(asked.operations[-1], amount=2 * PRICE.minor)
        ours = replace(asked, operations=(asked.first_operation, last))
        assert account.execute(ours).operations[-1].state is State.REJECTED
        assert account.moved_amounts(ours) == []


def _send(account: Account, payment: Payment) -> Verdict | type[LookupRequired]:
    """Returns the answer to a send of the last operation."""
    try:
        return account.provider.send(account.with_recorded_send(payment)).verdict
    except LookupRequired:
        return LookupRequired
