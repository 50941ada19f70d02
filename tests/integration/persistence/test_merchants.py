"""What a merchant has chosen is remembered, and changed for all."""

from __future__ import annotations

from pymongo.database import Database

from domain.submission import Guard
from persistence.codec import Document
from persistence.merchants import Merchants


def test_a_merchant_who_chose_nothing_is_guarded_while_unfinished(
    payments_db: Database[Document],
) -> None:
    assert Merchants(payments_db).guard("shop") is Guard.UNFINISHED


def test_a_choice_is_felt_here_at_once_and_by_others_when_they_read_again(
    payments_db: Database[Document],
) -> None:
    ours, theirs = Merchants(payments_db), Merchants(payments_db)
    assert theirs.guard("shop") is Guard.UNFINISHED
    ours.set_guard("shop", Guard.PAID)
    assert ours.guard("shop") is Guard.PAID
    assert theirs.guard("shop") is Guard.UNFINISHED, "for some seconds"
    assert Merchants(payments_db).guard("shop") is Guard.PAID
    assert ours.guard("rival") is Guard.UNFINISHED
