"""Answers with anything in any field: promised errors alone, and steps that are stored.

Each scene is one call of an adapter. It is carried out once at the simulator, and then
answered as it was then, with a hostile value in one place.
"""

from __future__ import annotations

import copy
import json
import math
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Final

import bson
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPResponse, PoolManager

from application.ports.provider import Provider
from application.ports.reconciliation import StatementPage, Statement
from application.ports.webhooks import DisputeReader
from cli.commands.differences import to_json, row
from domain.account import Account as ProviderAccount
from domain.errors import ProviderError
from domain.payments.answer import Answer
from domain.payments.settle import settle
from domain.payments.apply_dispute import apply_dispute
from domain.payments.dispute import DisputeUpdate
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.submission import Mode
from domain.reconciliation import Difference, DifferenceKind, Movement, UnreadableEntry
from persistence.codec import encode_events, encode_progress
from persistence.differences import encode_difference
from persistence.encryption import KeySource, Vault
from providers.http import TIMEOUT, PooledSession
from providers.paypal.adapter import PayPal
from providers.paypal.client import PayPalApi
from providers.paypal.disputes import PayPalDisputeReader
from providers.paypal.transactions import PayPalStatement
from providers.stripe.adapter import Stripe
from providers.stripe.balance import StripeStatement
from providers.stripe.client import PooledClient, create_client
from providers.stripe.disputes import StripeDisputeReader
from tests.suites.statements import MINUTE
from tests.support.provider_accounts import PAYPAL_METHODS, STRIPE_METHODS, Account
from tests.support.simulator_control import PATIENCE, Calls, Simulator

#: Values that other applications, people or other API versions put into a field.
HOSTILE: Final[list[Any]] = [
    *("\ud800", "a\ude00b", "\0", "", "x" * 10_000, f"pay_{1:026d}\n"),
    *(None, True, 0, -1, 1.5, 10**30, math.nan, math.inf, 10**18),
    *([], {}, [None], [[]], {"a": "\ud800"}, {"\ud800": "a", "payment": 5}),
    *("XXX", "-1.00", "1e9", "\u0663", "9999-12-31T23:59:59-23:59"),
    *("0001-01-01T00:00:00+23:59", "2026-01-01"),
    {"capture_method": "manual", f"capture_op_{1:026d}": "\u0663", "capture": [1]},
]
#: Changed answers of a scene, at least: each value comes three times, and each place
#: once.
CHANGES: Final = 3 * len(HOSTILE)

#: The number of an answer, and the path to a value in it.
Place = tuple[int, tuple[str | int, ...]]

#: A call, and the step made of its result or error.
Scene = tuple[Callable[[], object], Callable[[object], None]]


Kept = tuple[int, dict[str, str], Any]


class Recorder:
    """Records the answers of real calls and replays them with one change."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.played: Iterator[Kept] | None = None

    def next_answer(self, url: str) -> Kept | None:
        """The replayed answer of a call; None sends it to the simulator."""
        if self.played is None or "oauth2" in url:
            return None
        return next(self.played)

    def keep(self, url: str, status: int, headers: Any, body: bytes) -> None:
        """Records an answer of the simulator."""
        if "oauth2" not in url and body:
            self.kept.append((status, dict(headers), json.loads(body)))

    def play(self, place: Place, value: Any) -> None:
        """Replays the answers with ``value`` in that place."""
        number, path = place
        answers = list(self.kept)
        status, headers, body = answers[number]
        answers[number] = (status, headers, _changed(body, path, value))
        # A changed answer may lead to additional calls.
        self.played = iter([*answers, *answers[-1:] * 9])

    def places(self) -> list[Place]:
        """All places in the answers."""
        return [
            (number, path)
            for number, (_, _, body) in enumerate(self.kept)
            for path in _paths(body)
        ]


class RecordingAdapter(HTTPAdapter):
    """Records calls of requests to a simulator."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def send(  # type: ignore[override]  # requests passes all options by name
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """Ask the simulator, or replay its answer."""
        url = request.url or ""
        answer = self._recorder.next_answer(url)
        if answer is None:
            sent = super().send(request, **options)
            self._recorder.keep(url, sent.status_code, sent.headers, sent.content)
            return sent
        status, headers, body = answer
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, url
        response.headers.update(headers)
        response._content = json.dumps(body).encode()
        return response


class RecordingPools(PoolManager):
    """Records calls of urllib3 to a simulator."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(timeout=TIMEOUT[1], retries=False)
        self._recorder = recorder

    def urlopen(  # type: ignore[override]  # its options are passed by name
        self, method: str, url: str, **options: Any
    ) -> BaseHTTPResponse:
        """Ask the simulator, or replay its answer."""
        answer = self._recorder.next_answer(url)
        if answer is None:
            sent = super().urlopen(method, url, **options)
            self._recorder.keep(url, sent.status, sent.headers, sent.data)
            return sent
        status, headers, body = answer
        return HTTPResponse(json.dumps(body).encode(), headers, status)


def _paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    yield ()
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, one in inner:
        yield from ((name, *path) for path in _paths(one))


def _changed(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.copy(body)
    changed[path[0]] = _changed(body[path[0]], path[1:], value)
    return changed


class At:
    """A new account at a provider with a recorder for all its calls."""

    def __init__(self, name: str, simulator: Simulator, vault: Vault) -> None:
        self.vault = vault
        self.recorder = Recorder()
        secret = f"sk_test_{uuid.uuid4().hex}"
        provider: Provider
        self.statement: Statement
        self.disputes: DisputeReader
        if name == "stripe":
            client = create_client(
                api_base=simulator.url,
                secret_key=secret,
                transport=PooledClient(RecordingPools(self.recorder), observe=Calls()),
            )
            provider = Stripe(client)
            self.statement = StripeStatement(client)
            self.disputes = StripeDisputeReader(client)
            self.account = Account(provider, STRIPE_METHODS, simulator)
        else:
            session = PooledSession(connections=1, observe=Calls())
            session.mount("http://", RecordingAdapter(self.recorder))
            api = PayPalApi(
                endpoint=simulator.url,
                client_id=secret,
                client_secret="secret",
                mode=Mode.TEST,
                session=session,
            )
            provider, self.statement = PayPal(api), PayPalStatement(api)
            self.disputes = PayPalDisputeReader(api)
            self.account = Account(provider, PAYPAL_METHODS, simulator)
        self.provider = provider

    def sends(self, payment: Payment) -> Scene:
        """Sends the next operation."""
        claimed = self.account.with_recorded_send(payment)
        return lambda: self.provider.send(claimed), self._settles(claimed)

    def looks(self, payment: Payment) -> Scene:
        """Looks up the last operation."""
        claimed = start_lookup(payment, payment.operations[-1], now=datetime.now(UTC))
        return lambda: self.provider.look_up(claimed), self._settles(claimed)

    def lists(self) -> Scene:
        """Reads the statement of the last minutes."""
        self.account.execute(self.account.due(Kind.REFUND))
        now = datetime.now(UTC)
        return (
            lambda: self.statement.list_page(now - MINUTE, now + MINUTE, None),
            _check_storable,
        )

    def reads(self, payment: Payment) -> Scene:
        """Reads the provider's movements of a payment."""
        return lambda: self.statement.for_payment(payment), _check_storable

    def disputed(self, payment: Payment) -> Scene:
        """Reads a dispute and applies it to its payment."""
        name = "charge" if self.account.name == "stripe" else "capture"
        url = f"{self.account.simulator.url}/_disputes"
        opened = requests.post(
            url, json={name: payment.refs[name]}, timeout=PATIENCE
        ).json()
        ref = opened.get("dispute_id") or opened["id"]
        hint = DisputeUpdate(ProviderAccount.own(self.account.name), ref)

        def is_kept(reading: Any) -> None:
            if not isinstance(reading, ProviderError):
                now = datetime.now(UTC)
                self._is_stored(apply_dispute(payment, reading, now=now))
                bson.encode({"payment": reading.payment})

        return lambda: self.disputes.read(hint), is_kept

    def _settles(self, claimed: Payment) -> Callable[[Any], None]:
        def settles(outcome: Answer | ProviderError) -> None:
            now = datetime.now(UTC)
            self._is_stored(settle(claimed, outcome, now=now, jitter=0))

        return settles

    def _is_stored(self, payment: Payment) -> None:
        bson.encode(encode_progress(payment, self.vault))
        for event in encode_events(payment):
            bson.encode(event)


def _check_storable(found: Any) -> None:
    """Asserts that the result can be stored and printed."""
    sides: list[Movement | UnreadableEntry] = []
    if isinstance(found, StatementPage):
        sides = [*found.movements, *found.unreadable]
    elif isinstance(found, list):
        sides = list(found)
    for one in sides:
        difference = Difference(DifferenceKind.THEIRS_ALONE, None, None)
        if isinstance(one, UnreadableEntry):
            difference = replace(difference, unreadable=one)
        else:
            difference = replace(difference, theirs=one)
        bson.encode(encode_difference(difference))
        json.dumps(to_json(difference), ensure_ascii=False).encode()
        " ".join(row(difference)).encode()


def _sends_due(kind: Kind, at: At) -> Scene:
    return at.sends(at.account.due(kind))


SCENES: Final[dict[str, Callable[[At], Scene]]] = {
    **{kind.value: partial(_sends_due, kind) for kind in Kind},
    "decline": lambda at: at.sends(at.account.new("declines")),
    "action": lambda at: at.sends(
        at.account.new("asks", return_url="https://shop.example")
    ),
    "look at a charge": lambda at: at.looks(at.account.charged()),
    "look at a refund": lambda at: at.looks(
        at.account.execute(at.account.due(Kind.REFUND))
    ),
    "page": lambda at: at.lists(),
    "payment": lambda at: at.reads(at.account.execute(at.account.due(Kind.REFUND))),
    "dispute": lambda at: at.disputed(at.account.charged()),
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("name", ["stripe", "paypal"])
def test_an_answer_with_any_value_in_any_field_raises_only_promised_errors(
    name: str, scene: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    simulator: Simulator = request.getfixturevalue(f"{name}_simulator")
    at = At(name, simulator, Vault(KeySource("", tmp_path / "keys" / "keys")))
    act, ends = SCENES[scene](at)
    at.recorder.kept.clear()
    act_once(act, ends)
    places = at.recorder.places()
    assert places, "something was answered"

    for place, value in _changes(places):
        at.recorder.play(place, value)
        try:
            act_once(act, ends)
        except BaseException as error:
            error.add_note(f"with {value!r:.200} in {place}")
            raise


def _changes(places: Sequence[Place]) -> Iterator[tuple[Place, Any]]:
    """Places and values, in pairs that differ from run to run."""
    count = max(len(places), CHANGES)
    yield from zip(_dealt(places, count), _dealt(HOSTILE, count), strict=True)


def _dealt(items: Sequence[Any], count: int) -> list[Any]:
    """``count`` items in random order, each as often as any other or once more."""
    rounds = [random.sample(items, len(items)) for _ in range(-(-count // len(items)))]
    return list(chain.from_iterable(rounds))[:count]


def act_once(act: Callable[[], object], ends: Callable[[Any], None]) -> None:
    """Makes the call and the step that follows."""
    try:
        outcome: object = act()
    except ProviderError as error:
        outcome = error
    ends(outcome)
