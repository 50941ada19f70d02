"""Acme, an invented third provider: an adapter, its service in memory, and its rows.

It has everything that a provider needs: see ``docs/adding-a-provider.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from application.ports.reconciliation import Statement
from application.ports.webhooks import DisputeReader, WebhookVerifier
from cli.provider_options import PROVIDER_OPTIONS, ProviderOptions
from domain import provider_rules
from domain.errors import (
    LookupRequired,
    MalformedAnswer,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    UnreadableWebhook,
    WebhookNotTrusted,
)
from domain.money import Money
from domain.payments.answer import (
    Answer,
    ExternalMovement,
    Failure,
    NextAction,
    Verdict,
)
from domain.payments.dispute import DisputeUpdate, DisputeSnapshot
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.provider_rules import RULES, ObjectId, ProviderName, ProviderRules
from domain.webhook_refusals import WebhookRefusal
from domain.webhooks import Webhook
from runtime.provider_table import PROVIDERS, Adapters, ProviderParts
from runtime.settings import PROVIDER_SETTINGS, ProviderSettings
from tests.suites.accounts import Trouble
from tests.support.fake_statement import MemoryStatement

#: A row unlike both others: it keeps failed keys like Stripe, captures in parts like
#: PayPal, and counts euros in tenths of a cent.
ACME_RULES: Final = ProviderRules(
    name="Acme",
    decimals={"EUR": 3},
    largest=10_000_000,
    largest_in={},
    currencies=frozenset({"USD", "EUR", "JPY"}),
    key_windows=dict.fromkeys(Kind, timedelta(days=7)),
    forgets_failed_keys=False,
    finds_by_our_ids=True,
    needs_payment_method=True,
    methods_are_saved=True,
    saves_for_customer=False,
    needs_payer_approval=False,
    captures_in_parts=True,
    max_partial_captures=3,
    charge_ref="debit",
    list_lag=timedelta(hours=1),
    object_ids={
        Kind.CHARGE: ObjectId("debit", re.compile(r"D[0-9]+"), "D…"),
        Kind.AUTHORIZE: ObjectId("block", re.compile(r"B[0-9]+"), "B…"),
        Kind.CAPTURE: ObjectId("debit", re.compile(r"D[0-9]+"), "D…"),
        Kind.VOID: ObjectId("release", re.compile(r"V[0-9]+"), "V…"),
        Kind.REFUND: ObjectId("refund", re.compile(r"R[0-9]+"), "R…"),
    },
)

_BEGINS: Final = (Kind.CHARGE, Kind.AUTHORIZE)
#: The verdict of a first request that does not succeed, by payment method.
_DECIDES: Final = {
    "acme_asks": Verdict.ACTION_REQUIRED,
    "acme_waits": Verdict.PENDING,
    "acme_declines": Verdict.DECLINED,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that the service carried out or accepted."""

    ref: str  #: Acme's id
    key: str
    payment: str  #: our ids, of the payment and the operation
    operation: str
    kind: Kind
    money: Money
    verdict: Verdict
    final: bool
    target: str | None  #: Acme's id of the refunded debit
    expires_at: datetime

    @property
    def answer(self) -> Answer:
        """The service's answer."""
        done, void = self.verdict is Verdict.SUCCEEDED, self.kind is Kind.VOID
        asks = self.verdict is Verdict.ACTION_REQUIRED
        held = done and self.kind is Kind.AUTHORIZE
        failed = Failure("refused_by_bank", "The bank refused it.")
        return Answer(
            self.verdict,
            self.money if done and not void else None,
            {ACME_RULES.object_ids[self.kind].ref: self.ref},
            next_action=NextAction("https://acme.example/act") if asks else None,
            failure=failed if self.verdict is Verdict.DECLINED else None,
            expires_at=self.expires_at if held else None,
        )


@dataclass
class Service:
    """Acme's books. Every answer is kept under its key."""

    entries: list[Entry] = field(default_factory=list)
    keys: dict[str, tuple[str, Answer | Exception]] = field(default_factory=dict)

    def of(self, payment: str) -> list[Entry]:
        """The entries of one payment."""
        return [one for one in self.entries if one.payment == payment]

    def post(self, key: str, body: str) -> Answer:
        """Carries a request out, once per key."""
        if key not in self.keys:
            self.keys[key] = body, self._carry_out(key, json.loads(body))
        first_body, answer = self.keys[key]
        if first_body != body:
            raise NeedsReview("idempotency_mismatch")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _carry_out(self, key: str, asked: Mapping[str, Any]) -> Answer | Exception:
        kind, known = Kind(asked["kind"]), self.of(asked["payment"])
        money = ACME_RULES.from_units(asked["units"], asked["currency"])
        left = left_of(known, kind, asked["target"])
        if left is not None and kind is Kind.CAPTURE and is_voided(known):
            return Answer(Verdict.CANCELED)
        if left == 0:
            return LookupRequired("nothing_left")
        if left is not None and kind is not Kind.VOID and money.minor > left:
            return Answer(
                Verdict.REJECTED, failure=Failure("too_much", "More than is left.")
            )
        verdict = Verdict.SUCCEEDED
        if kind in _BEGINS:
            verdict = _DECIDES.get(asked["method"], verdict)
        made = Entry(
            ref=f"{ACME_RULES.object_ids[kind].example[0]}{len(self.entries) + 1}",
            key=key,
            payment=asked["payment"],
            operation=asked["operation"],
            kind=kind,
            money=money,
            verdict=verdict,
            final=asked["final"],
            target=asked["target"],
            expires_at=datetime.now(UTC) + timedelta(days=7),
        )
        self.entries.append(made)
        return made.answer


def is_voided(entries: list[Entry]) -> bool:
    """Whether the hold was released."""
    return any(one.kind is Kind.VOID for one in entries)


def left_of(entries: list[Entry], kind: Kind, target: str | None) -> int | None:
    """Minor units that a follow-up may still move; None for a first operation."""
    taken = [one for one in entries if one.kind is Kind.CAPTURE]
    captured = sum(one.money.minor for one in taken)
    match kind:
        case Kind.CHARGE | Kind.AUTHORIZE:
            return None
        case Kind.REFUND:
            back = sum(one.money.minor for one in entries if one.target == target)
            [of] = [one for one in entries if one.ref == target]
            return of.money.minor - back
        case Kind.VOID if captured or is_voided(entries):
            return 0
        case _:
            over = is_voided(entries) or any(one.final for one in taken)
            return 0 if over else entries[0].money.minor - captured


@dataclass
class Acme:
    """The adapter, a Provider. Each send meets the next trouble."""

    service: Service = field(default_factory=Service)
    troubles: list[Trouble] = field(default_factory=list)
    away: bool = False  #: every connection is refused

    def prepare(self, payment: Payment, operation: Operation) -> str:
        money = Money(operation.amount, payment.submission.amount.currency)
        of = operation.target and payment.get_operation(operation.target).refs["debit"]
        return json.dumps(
            {
                "payment": payment.id,
                "operation": operation.id,
                "kind": operation.kind,
                "units": ACME_RULES.to_units(money),
                "currency": money.currency,
                "method": payment.submission.payment_method,
                "final": operation.final,
                "target": of,
            }
        )

    def send(self, payment: Payment) -> Answer:
        send = payment.claimed_operation.send
        if send is None:
            raise NeedsReview("send_not_written_down")
        if self.away:
            raise NotSent
        match self.troubles.pop(0) if self.troubles else None:
            case Trouble.REQUEST_LOST:
                raise OutcomeUnknown("request_lost")
            case Trouble.RATE_LIMITED:
                wait = timedelta(seconds=3)
                raise NotExecuted("rate_limited", retry_after=wait)
            case Trouble.UNAUTHORIZED:
                raise Misconfigured
            case Trouble.ANSWER_LOST:
                self.service.post(send.key, send.body)
                raise OutcomeUnknown("answer_lost")
            case Trouble.GARBLED:
                self.service.post(send.key, send.body)
                raise MalformedAnswer
            case Trouble.FAILED:
                self.service.post(send.key, send.body)
                self.service.keys[send.key] = send.body, LookupRequired("repeated_500")
                raise OutcomeUnknown("http_500")
            case _:
                return self.service.post(send.key, send.body)

    def look_up(self, payment: Payment) -> Answer:
        if self.away:
            raise NotSent
        found = self.service.of(payment.id)
        ours = {one.id for one in payment.operations}
        others = [one for one in found if one.operation not in ours]
        return replace(
            _seen(found, payment.claimed_operation),
            external_movements=tuple(
                ExternalMovement(
                    kind=one.kind,
                    verdict=one.verdict,
                    money=one.money,
                    refs=one.answer.refs,
                    parent_ref=one.target,
                    final=one.final,
                )
                for one in others
                if one.kind in (Kind.CAPTURE, Kind.REFUND)
            ),
        )


def _seen(found: list[Entry], operation: Operation) -> Answer:
    """The state of one operation."""
    made = next((one for one in found if one.operation == operation.id), None)
    if operation.kind is Kind.AUTHORIZE and made is not None and is_voided(found):
        return Answer(Verdict.CANCELED, refs=made.answer.refs)
    if made is not None:
        return made.answer
    if operation.kind is Kind.VOID and is_voided(found):
        return Answer(Verdict.SUCCEEDED)
    captured = any(one.kind is Kind.CAPTURE for one in found)
    if operation.kind is Kind.VOID and captured:
        return _declined("already_captured")
    if operation.kind is Kind.CAPTURE and is_voided(found):
        return Answer(Verdict.CANCELED)
    if operation.kind is Kind.CAPTURE and left_of(found, Kind.CAPTURE, None) == 0:
        return _declined("captured_at_provider")
    return Answer(Verdict.ABSENT)


def _declined(code: str) -> Answer:
    return Answer(Verdict.DECLINED, failure=Failure(code, "It was captured before."))


class NoDisputes:
    """Acme has none."""

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        raise NeedsReview("no_disputes")


class NoWebhooks:
    """Acme sends no webhooks, so every webhook is refused."""

    event_types: frozenset[str] = frozenset()

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        sender: str | None = None,
    ) -> Webhook:
        raise WebhookNotTrusted(WebhookRefusal.NOT_SET_UP)


def _read(webhook: Webhook) -> None:
    raise UnreadableWebhook


@contextmanager
def acme_registered(provider: Acme) -> Iterator[ProviderName]:
    """Registers Acme with the adapter ``provider`` until the block ends."""
    disputes: DisputeReader = NoDisputes()
    verifier: WebhookVerifier = NoWebhooks()
    statement: Statement = MemoryStatement()
    name = provider_rules.register("acme", ACME_RULES)
    PROVIDERS[name] = ProviderParts(
        adapters=lambda settings, connections: lambda stored: Adapters(
            provider, disputes, statement, {}
        ),
        verifiers=lambda settings, find_connected: lambda stored: verifier,
        webhook_headers={"Acme-Signature": "^.+$"},
        read_webhook=_read,
    )
    PROVIDER_SETTINGS[name] = ProviderSettings(
        api_base="home",
        webhook_secret="home",
        rate=lambda settings: 0,
        check=lambda settings: None,
    )
    PROVIDER_OPTIONS[name] = ProviderOptions(
        secret="Acme's key",
        check_secret=lambda mode, secret, settings: None,
        options=frozenset(),
        webhook_setup="payments accounts show {id}",
    )
    try:
        yield name
    finally:
        for table in (PROVIDERS, PROVIDER_SETTINGS, PROVIDER_OPTIONS, RULES):
            del table[name]
