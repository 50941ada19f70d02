"""Authorize, capture, void, refund, and looks at each, at both providers over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.providers.simulator_control import (
    NOW,
    Simulator,
    a_payment,
    written_down,
)

from application.ports import Provider
from domain.answer import Answer, Verdict
from domain.errors import NeedsReview, OutcomeUnknown, ProviderError
from domain.money import Money
from domain.operation import Origin
from domain.payment import Payment
from domain.requests import capture, refund, void
from domain.sending import looking, sent
from domain.settling import settle
from domain.states import State, Status
from domain.submission import CaptureMethod, ProviderName
from providers.paypal import PayPal
from providers.stripe import Stripe

#: Long after any send, so that absence is proof.
LATER = NOW + timedelta(days=1)


@dataclass(frozen=True)
class Account:
    """One provider's adapter, its simulator, and where its operations go."""

    name: ProviderName
    provider: Provider
    simulator: Simulator
    method: str
    follow_ups: str  #: the path under which captures, voids and refunds are

    def begun(
        self, *, manual: bool, method: str = "", amount: Money = Money(1999, "USD")
    ) -> Payment:
        """A charge or an authorization that was carried out."""
        how = CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC
        new = a_payment(amount, method=method or self.method, capture=how)
        return self.done(written_down(self.provider, new))

    def claimed(self, payment: Payment) -> Payment:
        """The payment with the send of its next operation written down."""
        operation = payment.next
        assert operation is not None
        body = self.provider.prepare(payment, operation)
        return sent(payment, operation, body, now=NOW)

    def done(self, claimed: Payment) -> Payment:
        """What the provider's answer, or the lack of one, makes of it."""
        try:
            outcome: Answer | ProviderError = self.provider.send(claimed)
        except ProviderError as error:
            outcome = error
        return settle(claimed, outcome, now=NOW, jitter=0)

    def look(self, payment: Payment) -> Answer:
        """What a look at the operation asked for last says."""
        asked = looking(payment, payment.operations[-1], now=LATER)
        return self.provider.look(asked)

    def moved(self, payment: Payment) -> list[tuple[str, int]]:
        """Kind and amount of the rows that the last operation's key has made."""
        key = payment.operations[-1].key
        rows = self.simulator.rows()
        return [(row["kind"], row["amount"]) for row in rows if row["key"] == key]


@pytest.fixture(params=list(ProviderName))
def account(
    request: pytest.FixtureRequest,
    stripe: Stripe,
    stripe_simulator: Simulator,
    paypal: PayPal,
    paypal_simulator: Simulator,
) -> Account:
    """Each provider in turn."""
    if request.param is ProviderName.STRIPE:
        return Account(request.param, stripe, stripe_simulator, "pm_card_visa", "/v1/")
    return Account(
        request.param, paypal, paypal_simulator, "vault_ada", "/v2/payments/"
    )


def asked() -> dict[str, Any]:
    """What names a request."""
    one = f"op_{uuid.uuid4().hex}"
    return {"id": one, "origin": Origin(one, "f"), "now": NOW}


def _capture(held: Payment, amount: int | None = None) -> Payment:
    return capture(held, amount=amount, final=False, **asked())


def _refund(paid: Payment, amount: int | None = None) -> Payment:
    return refund(paid, amount=amount, target=None, **asked())


def _void(held: Payment) -> Payment:
    return void(held, **asked())


def test_an_authorization_holds_the_money_until_the_provider_says(
    account: Account,
) -> None:
    held = account.begun(manual=True)
    assert (held.status, held.authorized, held.captured) == (Status.AUTHORIZED, 1999, 0)
    assert account.moved(held) == [("authorize", 1999)]
    assert held.hold is not None and held.hold.expires_at is not None
    if account.name is ProviderName.PAYPAL:
        assert held.hold.honored_until is not None
        days = held.hold.expires_at - held.hold.honored_until
        assert days == timedelta(days=26)


def test_a_capture_takes_what_is_on_hold(account: Account) -> None:
    done = account.done(account.claimed(_capture(account.begun(manual=True))))
    assert (done.status, done.captured) == (Status.CAPTURED, 1999)
    assert account.moved(done) == [("capture", 1999)]
    assert account.look(done).verdict is Verdict.SUCCEEDED


def test_a_capture_of_a_part_leaves_the_rest_where_the_provider_does(
    account: Account,
) -> None:
    part = account.done(account.claimed(_capture(account.begun(manual=True), 600)))
    assert part.captured == 600
    assert account.moved(part) == [("capture", 600)]
    if account.name is ProviderName.STRIPE:
        assert (part.status, part.capturable) == (Status.CAPTURED, 0)
        return
    assert (part.status, part.capturable) == (Status.PARTIALLY_CAPTURED, 1399)
    whole = account.done(account.claimed(_capture(part)))
    assert (whole.status, whole.captured) == (Status.CAPTURED, 1999)
    assert account.moved(whole) == [("capture", 1399)]


def test_a_void_releases_it_and_a_second_one_does_no_harm(account: Account) -> None:
    claimed = account.claimed(_void(account.begun(manual=True)))
    done = account.done(claimed)
    assert done.status is Status.VOIDED
    again = account.done(claimed)
    assert again.status is Status.VOIDED
    assert account.moved(done) == [("void", 1999)]
    assert account.look(done).verdict is Verdict.SUCCEEDED


def test_refunds_of_parts_give_back_the_whole(account: Account) -> None:
    paid = account.begun(manual=False)
    part = account.done(account.claimed(_refund(paid, 600)))
    assert (part.status, part.refunded) == (Status.PARTIALLY_REFUNDED, 600)
    assert account.moved(part) == [("refund", 600)]
    whole = account.done(account.claimed(_refund(part)))
    assert (whole.status, whole.refunded) == (Status.REFUNDED, 1999)
    assert account.moved(whole) == [("refund", 1399)]
    assert account.look(whole).moved == Money(1399, "USD")


Ask = Callable[[Payment], Payment]


@pytest.mark.parametrize(
    ("ask", "manual"), [(_capture, True), (_void, True), (_refund, False)]
)
def test_an_answer_that_was_lost_is_heard_by_a_resend_and_by_a_look(
    account: Account, ask: Ask, manual: bool
) -> None:
    claimed = account.claimed(ask(account.begun(manual=manual)))
    match = {"method": "POST", "path": account.follow_ups}
    account.simulator.arm("commit_then_drop", match=match)
    with pytest.raises(OutcomeUnknown):
        account.provider.send(claimed)
    assert len(account.moved(claimed)) == 1
    assert account.look(claimed).verdict is Verdict.SUCCEEDED
    assert account.done(claimed).settled
    assert len(account.moved(claimed)) == 1


@pytest.mark.parametrize(
    ("ask", "manual"), [(_capture, True), (_void, True), (_refund, False)]
)
def test_a_request_that_never_arrived_is_absent(
    account: Account, ask: Ask, manual: bool
) -> None:
    claimed = account.claimed(ask(account.begun(manual=manual)))
    match = {"method": "POST", "path": account.follow_ups}
    account.simulator.arm("drop", match=match)
    with pytest.raises(OutcomeUnknown):
        account.provider.send(claimed)
    assert account.look(claimed).verdict is Verdict.ABSENT
    assert account.moved(claimed) == []


def test_a_charge_whose_id_was_never_heard_is_found_at_stripe_and_not_at_paypal(
    account: Account,
) -> None:
    new = a_payment(method=account.method)
    account.simulator.arm("commit_then_drop")
    claimed = account.simulator.dated(written_down(account.provider, new))
    with pytest.raises(OutcomeUnknown):
        account.provider.send(claimed)
    if account.name is ProviderName.STRIPE:
        found = account.look(claimed)
        assert (found.verdict, found.moved) == (Verdict.SUCCEEDED, Money(1999, "USD"))
        return
    with pytest.raises(NeedsReview, match="person"):
        account.look(claimed)


def test_a_capture_of_what_was_voided_elsewhere_learns_so(account: Account) -> None:
    held = account.begun(manual=True)
    account.done(account.claimed(_void(held)))
    late = account.done(account.claimed(_capture(held)))
    if account.name is ProviderName.STRIPE:
        assert late.operations[-1].state is State.UNKNOWN, "only a look can tell"
    else:
        assert late.status is Status.VOIDED
    assert account.look(late).verdict is Verdict.CANCELED


def test_a_void_of_what_was_captured_elsewhere_learns_so(account: Account) -> None:
    held = account.begun(manual=True)
    account.done(account.claimed(_capture(held)))
    claimed = account.claimed(_void(held))
    late = account.done(claimed)
    if late.operations[-1].state is State.UNKNOWN:
        assert account.look(late).verdict is Verdict.DECLINED
    else:
        assert late.operations[-1].state is State.DECLINED


@pytest.mark.parametrize(
    ("amount", "at_stripe", "at_paypal"),
    [
        (Money(1200, "JPY"), 1200, 1200),
        (Money(12340, "KWD"), 12340, None),
        (Money(950, "ISK"), 95000, None),
        (Money(500000, "HUF"), 500000, 500000),
    ],
)
def test_captures_and_refunds_move_the_amount_in_every_currency(
    account: Account, amount: Money, at_stripe: int, at_paypal: int | None
) -> None:
    expected = at_stripe if account.name is ProviderName.STRIPE else at_paypal
    if expected is None:
        return
    held = account.begun(manual=True, amount=amount)
    taken = account.done(account.claimed(_capture(held)))
    assert account.moved(taken) == [("capture", expected)]
    assert taken.captured == amount.minor
    back = account.done(account.claimed(_refund(taken)))
    assert account.moved(back) == [("refund", expected)]
    assert back.status is Status.REFUNDED


@pytest.mark.parametrize(
    ("provider", "method"),
    [
        (ProviderName.STRIPE, "pm_card_pendingRefund"),
        (ProviderName.PAYPAL, "vault_refund_pending"),
    ],
)
def test_a_refund_that_takes_days_is_pending_and_keeps_its_reservation(
    account: Account, provider: ProviderName, method: str
) -> None:
    if account.name is not provider:
        return
    paid = account.begun(manual=False, method=method)
    waiting = account.done(account.claimed(_refund(paid, 600)))
    assert waiting.operations[-1].state is State.PENDING
    assert (waiting.refunded, waiting.refund_reserved) == (0, 600)
    assert account.moved(waiting) == []
    assert account.look(waiting).verdict is Verdict.PENDING


def test_a_refund_that_fails_later_is_seen_by_a_look(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    account = Account(
        ProviderName.STRIPE, stripe, stripe_simulator, "pm_card_refundFail", "/v1/"
    )
    done = account.done(account.claimed(_refund(account.begun(manual=False), 600)))
    assert done.refunded == 600
    stripe_simulator.advance(timedelta(days=2))
    seen = looking(done, done.operations[-1], now=LATER)
    corrected = settle(seen, stripe.look(seen), now=LATER, jitter=0)
    assert corrected.operations[-1].state is State.DECLINED
    assert (corrected.refunded, corrected.refundable(corrected.first)) == (0, 1999)


def test_a_hold_that_ran_out_is_seen_by_a_look(
    stripe: Stripe, stripe_simulator: Simulator
) -> None:
    account = Account(
        ProviderName.STRIPE, stripe, stripe_simulator, "pm_card_visa", "/v1/"
    )
    held = account.begun(manual=True)
    stripe_simulator.advance(timedelta(days=8))
    ended = settle(
        looking(held, held.first, now=LATER),
        account.look(held),
        now=LATER,
        jitter=0,
    )
    assert ended.status is Status.EXPIRED
    late = account.claimed(_capture(held))
    assert account.done(late).operations[-1].state is State.UNKNOWN
    assert account.look(late).verdict is Verdict.EXPIRED
