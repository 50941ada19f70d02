"""What holds for each kind of operation at both providers: it moves money once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.integration.providers.accounts import PRICE, Account

from domain.answer import Verdict
from domain.errors import LookNeeded, NeedsReview, NotExecuted, OutcomeUnknown
from domain.money import Money
from domain.operation import Kind
from domain.payment import Payment
from domain.states import State
from domain.submission import ProviderName

every_kind = pytest.mark.parametrize("kind", list(Kind))


def whole(kind: Kind) -> Money | None:
    """What an answer to the whole price says has moved: a void moves nothing."""
    return None if kind is Kind.VOID else PRICE


def may_look(account: Account, payment: Payment) -> bool:
    """Whether there is anything to look at: PayPal finds no order without its id."""
    return account.name is ProviderName.STRIPE or "order" in payment.refs


@every_kind
def test_it_moves_the_money_once_and_says_how_much(
    account: Account, kind: Kind
) -> None:
    claimed = account.written_down(account.due(kind))
    answer = account.provider.send(claimed)
    assert (answer.verdict, answer.moved) == (Verdict.SUCCEEDED, whole(kind))
    assert answer.refs
    assert answer.request_id
    assert (answer.failure, answer.next_action, answer.waiting_for) == (None,) * 3
    assert account.moved(claimed) == [PRICE.minor]


@every_kind
def test_its_row_in_the_ledger_names_the_operation(
    account: Account, kind: Kind
) -> None:
    claimed = account.written_down(account.due(kind))
    account.provider.send(claimed)
    rows = account.simulator.movements(claimed)
    [row] = [row for row in rows if row["key"] == claimed.working.key]
    # A void is the authorization's own, at both.
    named = claimed.first if kind is Kind.VOID else claimed.working
    assert named.id in row["metadata"].values()


@every_kind
def test_the_same_key_again_says_the_same_and_moves_nothing_more(
    account: Account, kind: Kind
) -> None:
    claimed = account.written_down(account.due(kind))
    first, again = account.provider.send(claimed), account.provider.send(claimed)
    assert (first.verdict, first.moved) == (again.verdict, again.moved)
    assert len(account.moved(claimed)) == 1


@every_kind
@pytest.mark.parametrize("fault", ["commit_then_drop", "malformed"])
def test_a_lost_answer_is_heard_by_a_resend(
    account: Account, kind: Kind, fault: str
) -> None:
    claimed = account.written_down(account.due(kind))
    account.simulator.arm(fault)
    with pytest.raises(OutcomeUnknown) as caught:
        account.provider.send(claimed)
    lost = {"commit_then_drop": "no_answer", "malformed": "malformed_answer"}
    assert caught.value.detail == lost[fault]
    assert len(account.moved(claimed)) == 1
    again = account.provider.send(claimed)
    assert (again.verdict, again.moved) == (Verdict.SUCCEEDED, whole(kind))
    assert len(account.moved(claimed)) == 1


@every_kind
def test_a_lost_answer_is_found_by_a_look(account: Account, kind: Kind) -> None:
    payment = account.due(kind)
    account.simulator.arm("commit_then_drop")
    unheard = account.done(payment)
    assert unheard.operations[-1].state is State.UNKNOWN
    if may_look(account, payment):
        seen = account.look(unheard)
        assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, whole(kind))
        assert seen.refs
    else:
        with pytest.raises(NeedsReview) as caught:
            account.look(unheard)
        assert caught.value.detail == "nothing_to_look_at"
    assert account.moved(unheard) == [PRICE.minor]


@every_kind
def test_what_never_arrived_is_absent_and_a_resend_carries_it_out(
    account: Account, kind: Kind
) -> None:
    payment = account.due(kind)
    account.simulator.arm("drop")
    claimed = account.written_down(payment)
    unheard = account.sent(claimed)
    assert unheard.operations[-1].state is State.UNKNOWN
    if may_look(account, payment):
        assert account.look(unheard).verdict is Verdict.ABSENT
    assert account.moved(unheard) == []
    assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
    assert account.moved(unheard) == [PRICE.minor]


@every_kind
def test_what_succeeded_is_seen_again_by_a_look(account: Account, kind: Kind) -> None:
    payment = account.done(account.due(kind))
    seen = account.look(payment)
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, whole(kind))
    assert seen.refs.items() <= payment.refs.items()


@every_kind
def test_a_rate_limit_did_nothing_and_the_same_key_does_it_once_later(
    account: Account, kind: Kind
) -> None:
    claimed = account.written_down(account.due(kind))
    account.simulator.arm("rate_limit", seconds=4)
    with pytest.raises(NotExecuted) as caught:
        account.provider.send(claimed)
    assert caught.value.retry_after == timedelta(seconds=4)
    assert account.moved(claimed) == []
    assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
    assert len(account.moved(claimed)) == 1


@every_kind
def test_a_500_that_moved_the_money_moves_it_once_and_only_a_look_tells(
    account: Account, kind: Kind
) -> None:
    """Stripe says it again to the same key; PayPal that it was done before."""
    payment = account.due(kind)
    account.simulator.arm("replay_500", when="after")
    claimed = account.written_down(payment)
    with pytest.raises(OutcomeUnknown) as first:
        account.provider.send(claimed)
    assert first.value.detail == "http_500"
    if account.name is ProviderName.PAYPAL and kind is Kind.VOID:
        # It has no key, so each send looks first.
        assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
    else:
        with pytest.raises(LookNeeded):
            account.provider.send(claimed)
    if may_look(account, payment):
        seen = account.look(claimed)
        assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, whole(kind))
    assert account.moved(claimed) == [PRICE.minor]


@every_kind
def test_a_look_that_fails_says_nothing(account: Account, kind: Kind) -> None:
    payment = account.done(account.due(kind))
    everything = {"method": "GET", "path": account.simulator.root}
    account.simulator.arm("answer", status=503, body="{}", match=everything)
    with pytest.raises(OutcomeUnknown):
        account.look(payment)
    missing = {"name": "RESOURCE_NOT_FOUND", "error": {"message": "No such thing."}}
    account.simulator.arm("answer", status=404, body=missing, match=everything)
    with pytest.raises(OutcomeUnknown):
        account.look(payment)
    account.simulator.arm("rate_limit", match=everything)
    with pytest.raises(NotExecuted):
        account.look(payment)
