"""The promises of every Provider about one call: key, answer and errors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from application.ports.provider import Provider
from domain.errors import (
    InvalidPayment,
    LookupRequired,
    MalformedAnswer,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.payments.submission import ProviderName
from tests.suites.accounts import PRICE, Account, Trouble

every_kind = pytest.mark.parametrize("kind", list(Kind))
#: The kinds of a first operation.
first_kind = pytest.mark.parametrize("kind", [Kind.CHARGE, Kind.AUTHORIZE])


def whole(kind: Kind, price: Money = PRICE) -> Money | None:
    """The amount in an answer to the whole price; a void moves nothing."""
    return None if kind is Kind.VOID else price


class ProviderSuite:
    """Its subclass's module has fixtures: ``account``, a new one, and ``away``, the
    provider while every connection to it is refused.
    """

    @every_kind
    def test_preparing_is_pure(self, account: Account, kind: Kind) -> None:
        payment = account.due(kind)
        before = account.kinds_and_amounts(payment)
        operation = payment.operations[-1]
        first = account.provider.prepare(payment, operation)
        assert first == account.provider.prepare(payment, operation)
        assert account.kinds_and_amounts(payment) == before

    @every_kind
    def test_charge_moves_the_money_once_with_its_amount(
        self, account: Account, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        answer = account.provider.send(claimed)
        assert (answer.verdict, answer.moved) == (Verdict.SUCCEEDED, whole(kind))
        assert answer.refs
        assert (answer.failure, answer.next_action, answer.waiting_for) == (None,) * 3
        assert account.moved_amounts(claimed) == [PRICE.minor]

    @pytest.mark.parametrize(
        "price",
        [
            Money(1999, "EUR"),
            Money(1999, "JPY"),
            Money(19_990, "KWD"),
            Money(19_995, "KWD"),
            Money(1500, "ISK"),
            Money(2_000_000, "HUF"),
            Money(2_000_050, "HUF"),
        ],
        ids=str,
    )
    def test_an_amount_arrives_to_the_smallest_unit_or_is_refused_before_it_is_sent(
        self, account: Account, price: Money
    ) -> None:
        new = account.new(amount=price)
        try:
            account.provider.prepare(new, new.first_operation)
        except InvalidPayment as refused:
            assert refused.field in ("amount", "currency")
            assert account.kinds_and_amounts(new) == []
            return
        unit = account.units.get(price.currency, 1)
        for kind in Kind:
            payment = account.execute(account.due(kind, amount=price))
            last = payment.operations[-1]
            assert last.state is State.SUCCEEDED
            assert last.moved == (0 if kind is Kind.VOID else price.minor)
            assert account.look_up(payment).moved == whole(kind, price)
            assert account.moved_amounts(payment) == [price.minor * unit]

    @every_kind
    def test_resend_gets_the_same_answer_and_moves_no_more_money(
        self, account: Account, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        first, again = account.provider.send(claimed), account.provider.send(claimed)
        assert (first.verdict, first.moved) == (again.verdict, again.moved)
        assert first.refs == again.refs
        assert len(account.moved_amounts(claimed)) == 1

    @pytest.mark.parametrize("kind", [one for one in Kind if one is not Kind.VOID])
    def test_a_key_with_another_body_is_refused_without_an_effect(
        self, account: Account, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        account.provider.send(claimed)
        other = replace(claimed.claimed_operation, amount=PRICE.minor - 100)
        body = account.provider.prepare(claimed, other)
        with pytest.raises(NeedsReview):
            account.provider.send(_with_body(claimed, body))
        assert account.moved_amounts(claimed) == [PRICE.minor]

    @first_kind
    def test_decline_has_its_reason_and_moves_no_money(
        self, account: Account, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind, "declines"))
        for answer in account.provider.send(claimed), account.provider.send(claimed):
            assert (answer.verdict, answer.moved) == (Verdict.DECLINED, None)
            assert answer.failure is not None
            assert answer.failure.code and answer.failure.message
        assert account.moved_amounts(claimed) == []

    @pytest.mark.parametrize(
        ("kind", "does", "verdict"),
        [
            (Kind.CHARGE, "asks", Verdict.ACTION_REQUIRED),
            (Kind.AUTHORIZE, "asks", Verdict.ACTION_REQUIRED),
            (Kind.CHARGE, "waits", Verdict.PENDING),
        ],
    )
    def test_pending_charge_has_moved_no_money_by_send_and_by_lookup(
        self, account: Account, kind: Kind, does: str, verdict: Verdict
    ) -> None:
        payment = account.execute(account.due(kind, does))
        assert payment.first_operation.state in (State.REQUIRES_ACTION, State.PENDING)
        seen = account.look_up(payment)
        assert (seen.verdict, seen.moved) == (verdict, None)
        assert account.moved_amounts(payment) == []

    @every_kind
    @pytest.mark.parametrize("trouble", [Trouble.ANSWER_LOST, Trouble.GARBLED])
    def test_resend_gets_a_lost_answer(
        self, account: Account, kind: Kind, trouble: Trouble
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        account.arm(trouble)
        assert type(_send_error(account, claimed)) in (OutcomeUnknown, MalformedAnswer)
        assert len(account.moved_amounts(claimed)) == 1
        again = account.provider.send(claimed)
        assert (again.verdict, again.moved) == (Verdict.SUCCEEDED, whole(kind))
        assert len(account.moved_amounts(claimed)) == 1

    @every_kind
    def test_lookup_finds_a_lost_answer(self, account: Account, kind: Kind) -> None:
        payment = account.due(kind)
        account.arm(Trouble.ANSWER_LOST)
        unanswered = account.execute(payment)
        assert unanswered.operations[-1].state is State.UNKNOWN
        if _can_look_up(account, payment):
            seen = account.look_up(unanswered)
            assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, whole(kind))
            assert seen.refs
        else:
            with pytest.raises(NeedsReview) as caught:
                account.look_up(unanswered)
            assert caught.value.detail == "nothing_to_look_up"
        assert account.moved_amounts(unanswered) == [PRICE.minor]

    @every_kind
    def test_lost_request_is_absent_if_its_absence_can_be_proven(
        self, account: Account, kind: Kind
    ) -> None:
        payment = account.due(kind)
        account.arm(Trouble.REQUEST_LOST)
        claimed = account.with_recorded_send(payment)
        unanswered = account.send(claimed)
        assert unanswered.operations[-1].state is State.UNKNOWN
        if _can_look_up(account, payment):
            assert account.look_up(unanswered).verdict is Verdict.ABSENT
        else:
            with pytest.raises(NeedsReview):
                account.look_up(unanswered)
        assert account.moved_amounts(unanswered) == []
        assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
        assert account.moved_amounts(unanswered) == [PRICE.minor]

    @every_kind
    def test_repeated_lookups_find_the_success_and_change_nothing(
        self, account: Account, kind: Kind
    ) -> None:
        payment = account.execute(account.due(kind))
        before = account.kinds_and_amounts(payment)
        first, again = account.look_up(payment), account.look_up(payment)
        for seen in first, again:
            assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, whole(kind))
            assert seen.refs.items() <= payment.refs.items()
        assert account.kinds_and_amounts(payment) == before

    @every_kind
    def test_a_refused_connection_was_not_sent(
        self, account: Account, away: Provider, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        with pytest.raises(NotSent):
            away.send(claimed)
        if _can_look_up(account, claimed):
            with pytest.raises(NotSent):
                away.look_up(
                    start_lookup(
                        claimed, claimed.claimed_operation, now=claimed.updated_at
                    )
                )
        _moved_nothing_and_moves_once(account, claimed)

    @every_kind
    def test_rate_limited_request_is_not_executed_and_has_a_wait(
        self, account: Account, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        account.arm(Trouble.RATE_LIMITED)
        error = _send_error(account, claimed)
        assert type(error) is NotExecuted and error.retry_after is not None
        assert error.retry_after.total_seconds() == 3
        _moved_nothing_and_moves_once(account, claimed)

    @every_kind
    def test_refused_credentials_execute_nothing(
        self, account: Account, kind: Kind
    ) -> None:
        claimed = account.with_recorded_send(account.due(kind))
        account.arm(Trouble.UNAUTHORIZED)
        assert type(_send_error(account, claimed)) is Misconfigured
        _moved_nothing_and_moves_once(account, claimed)

    @every_kind
    def test_executed_500_moves_the_money_once_and_needs_a_lookup(
        self, account: Account, kind: Kind
    ) -> None:
        """Stripe repeats the 500 for the key; PayPal refuses a second use."""
        payment = account.due(kind)
        claimed = account.with_recorded_send(payment)
        account.arm(Trouble.FAILED)
        assert type(_send_error(account, claimed)) is OutcomeUnknown
        if account.name is ProviderName.PAYPAL and kind is Kind.VOID:
            # A void has no key, so each send reads first.
            assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
        else:
            assert type(_send_error(account, claimed)) is LookupRequired
        if _can_look_up(account, payment):
            seen = account.look_up(claimed)
            assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, whole(kind))
        assert account.moved_amounts(claimed) == [PRICE.minor]

    def test_unrecorded_send_is_not_sent(self, account: Account) -> None:
        payment = account.new()
        claimed = start_lookup(payment, payment.first_operation, now=payment.created_at)
        with pytest.raises(NeedsReview):
            account.provider.send(claimed)
        assert account.moved_amounts(payment) == []


def _send_error(account: Account, claimed: Payment) -> ProviderError:
    """Returns the error of a send, which must be one of the port's errors."""
    with pytest.raises(ProviderError) as caught:
        account.provider.send(claimed)
    assert isinstance(caught.value, (NotExecuted, OutcomeUnknown, NeedsReview))
    return caught.value


def _moved_nothing_and_moves_once(account: Account, claimed: Payment) -> None:
    """Asserts that nothing has moved, and that the same send moves it once."""
    assert account.moved_amounts(claimed) == []
    assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
    assert len(account.moved_amounts(claimed)) == 1


def _can_look_up(account: Account, payment: Payment) -> bool:
    """Whether a lookup is possible, by an id or by a list."""
    return account.finds_lost_calls or bool(payment.refs)


def _with_body(claimed: Payment, body: str) -> Payment:
    """The payment with another body under its recorded key."""
    operation = claimed.claimed_operation
    assert operation.send is not None and operation.send.body != body
    other = replace(operation, send=replace(operation.send, body=body))
    return replace(
        claimed,
        operations=tuple(
            other if one.id == operation.id else one for one in claimed.operations
        ),
    )
