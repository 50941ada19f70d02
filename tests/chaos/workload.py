"""The client's requests, determined by their number and the seed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

#: Methods with their providers and weights. The provider declines some, so that the
#: checks see payments without movements.
METHODS: Final = (
    ("stripe", "pm_card_visa", 45),
    ("stripe", "pm_card_mastercard", 10),
    ("stripe", "pm_card_chargeDeclined", 4),
    ("stripe", "pm_card_chargeDeclinedInsufficientFunds", 3),
    ("paypal", "vault_ada", 29),
    ("paypal", "vault_declined", 3),
    ("paypal", "vault_refused", 3),
    ("paypal", "vault_capture_declined", 3),
)
#: Methods that the provider always accepts.
GOOD: Final = ("pm_card_visa", "pm_card_mastercard", "vault_ada")
CURRENCIES: Final = ("USD", "EUR", "GBP", "JPY")
#: Percentage of payments submitted twice at once, …
TWICE: Final = 4
#: … again after the answer, and again with another amount.
AGAIN: Final = 4
ALTERED: Final = 2
#: One request in so many has a card number and must be refused.
CARD_EVERY: Final = 150


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A later request for a payment: ``call`` is the last part of its path.

    ``part`` is the hundredths of the payment's amount; None leaves the amount out.
    """

    call: str
    part: int | None = None


#: The requests of a step are made at once, after the end of the previous step.
Steps = Sequence[Sequence[FollowUp]]

_CAPTURE: Final = FollowUp("captures")
_VOID: Final = FollowUp("void")
_REFUND: Final = FollowUp("refunds")

#: Follow-ups with weights, of charged and of authorized payments. Some concurrent ones
#: together exceed the amount, so that one of them must be refused.
CHARGED: Final[Sequence[tuple[int, Steps]]] = (
    (80, ()),
    (6, ((_REFUND,),)),
    (4, ((FollowUp("refunds", 30),), (FollowUp("refunds", 70),))),
    (4, ((FollowUp("refunds", 60), FollowUp("refunds", 60)),)),
    (4, ((FollowUp("refunds", 40), FollowUp("refunds", 40)),)),
)
AUTHORIZED: Final[Sequence[tuple[int, Steps]]] = (
    (30, ((_CAPTURE,),)),
    (15, ((FollowUp("captures", 60),), (_CAPTURE,))),
    (15, ((FollowUp("captures", 50),), (_VOID,))),
    (15, ((_VOID,),)),
    (10, ((_CAPTURE, _VOID),)),
    (10, ((_CAPTURE,), (_REFUND, FollowUp("refunds", 50)))),
    (5, ()),
)
#: Percentage of payments that are only authorized, …
MANUAL: Final = 20
#: … and that are canceled at once, before or after the send.
CANCELED: Final = 2


@dataclass(frozen=True, slots=True)
class Intent:
    """One payment, to be made once in spite of repeated requests."""

    number: int
    key: str
    body: Mapping[str, Any]
    repeated: bool = False  #: repeated after the answer
    altered: bool = False  #: repeated with another amount
    refused: bool = False  #: with a card number
    hasty: bool = False  #: the first step does not wait for the payment's end
    steps: Steps = field(default=())


def intents(count: int, *, seed: int, word: str, card: str) -> Iterator[Intent]:
    """``count`` payments, with further requests among them.

    A payment that is submitted twice at once comes twice in a row. ``word`` is part of
    every personal text.
    """
    for number in range(count):
        random = Random(f"{seed}-{number}")
        key = f"order-{number}-{random.randrange(16**8):08x}"
        chance = random.randrange(100)
        manual = random.randrange(100) < MANUAL
        hasty = random.randrange(100) < CANCELED
        body = _body(number, random, word)
        later = AUTHORIZED if manual else CHARGED
        [steps] = random.choices([steps for _, steps in later], [n for n, _ in later])
        intent = Intent(
            number=number,
            key=key,
            body={**body, "capture": "manual"} if manual else body,
            repeated=chance < AGAIN,
            altered=AGAIN <= chance < AGAIN + ALTERED,
            hasty=hasty,
            steps=((_VOID,),) if hasty else steps,
        )
        yield intent
        if chance >= 100 - TWICE:
            yield intent
        if number % CARD_EVERY == CARD_EVERY - 1:
            body = {**intent.body, "payment_method": card}
            yield Intent(number, f"{key}-card", body, refused=True)


def _body(number: int, random: Random, word: str) -> dict[str, Any]:
    [(provider, method, _)] = random.choices(METHODS, [row[2] for row in METHODS])
    return {
        "amount": random.randint(100, 99_999),
        "currency": random.choice(CURRENCIES),
        "provider": provider,
        "payment_method": method,
        "reference": f"order-{number}",
        "description": f"{word} of a description",
        "metadata": {"note": f"{word} of metadata"},
        "customer": {"email": f"{word}@example.com"},
        "return_url": f"https://shop.example/{word}",
    }


def plain(name: str, count: int, *, paypal_every: int = 0) -> Iterator[Intent]:
    """``count`` charges that succeed; one in ``paypal_every`` at PayPal, 0: none."""
    for number in range(count):
        paypal = paypal_every and number % paypal_every == 0
        body = {
            "amount": 1000 + number,
            "currency": "USD",
            "provider": "paypal" if paypal else "stripe",
            "payment_method": "vault_ada" if paypal else "pm_card_visa",
            "reference": f"{name}-{number}",
        }
        yield Intent(number=number, key=f"{name}-{number}", body=body)
