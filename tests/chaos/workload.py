"""What the client asks for: payments that their number and the seed decide. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

#: Methods with their providers and weights. Some are declined by the provider, so that
#: the checks see payments for which nothing may move.
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
#: Methods that the provider always takes.
GOOD: Final = ("pm_card_visa", "pm_card_mastercard", "vault_ada")
CURRENCIES: Final = ("USD", "EUR", "GBP", "JPY")
#: Of a hundred payments, so many are submitted twice at once …
TWICE: Final = 4
#: … so many again after their answer, and so many again with another amount.
AGAIN: Final = 4
ALTERED: Final = 2
#: One request in so many brings a card number, and must be refused.
CARD_EVERY: Final = 150


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A later request for a payment: ``call`` is the last part of its path.

    ``part`` is the hundredths of the payment's amount; None leaves the amount out.
    """

    call: str
    part: int | None = None


#: Requests of one step are made at once; a step waits until the one before has ended.
Steps = Sequence[Sequence[FollowUp]]

_CAPTURE: Final = FollowUp("captures")
_VOID: Final = FollowUp("void")
_REFUND: Final = FollowUp("refunds")

#: What becomes of a payment later, with weights, by whether it is only authorized.
#: Some ask for more than there is at once: one of them must be refused.
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
#: Of a hundred payments, so many are only authorized, …
MANUAL: Final = 20
#: … and so many are called off at once, before or after they were sent.
CALLED_OFF: Final = 2


@dataclass(frozen=True, slots=True)
class Intent:
    """One payment that a shop wants made once, however often it asks."""

    number: int
    key: str
    body: Mapping[str, Any]
    again: bool = False  #: asks once more after the answer
    altered: bool = False  #: asks once more, with another amount
    refused: bool = False  #: brings a card number
    hasty: bool = False  #: its first step does not wait for the payment's end
    steps: Steps = field(default=())


def intents(count: int, *, seed: int, word: str, card: str) -> Iterator[Intent]:
    """``count`` payments and more requests beside them.

    One that is wanted twice at once comes twice in a row. ``word`` is part of every
    personal text.
    """
    for number in range(count):
        random = Random(f"{seed}-{number}")
        key = f"order-{number}-{random.randrange(16**8):08x}"
        chance = random.randrange(100)
        manual = random.randrange(100) < MANUAL
        hasty = random.randrange(100) < CALLED_OFF
        body = _body(number, random, word)
        later = AUTHORIZED if manual else CHARGED
        [steps] = random.choices([steps for _, steps in later], [n for n, _ in later])
        intent = Intent(
            number=number,
            key=key,
            body={**body, "capture": "manual"} if manual else body,
            again=chance < AGAIN,
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
    """``count`` charges that pay; one in ``paypal_every`` at PayPal, 0: none."""
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
