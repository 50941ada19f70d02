"""What a merchant has chosen is remembered, and changed for all."""

from __future__ import annotations

from pymongo.database import Database

from application.ports import Scope
from domain.routing import Routes
from domain.submission import Guard
from persistence.codec import Document
from persistence.merchants import Chosen, Merchants
from tests.suites.samples import SHOP


def test_a_merchant_who_chose_nothing_is_guarded_while_unfinished_and_routes_nothing(
    payments_db: Database[Document],
) -> None:
    assert Merchants(payments_db).chosen(SHOP) == Chosen(Guard.UNFINISHED, Routes())


def test_a_choice_is_felt_here_at_once_and_by_others_when_they_read_again(
    payments_db: Database[Document],
) -> None:
    ours, theirs = Merchants(payments_db), Merchants(payments_db)
    assert theirs.chosen(SHOP).guard is Guard.UNFINISHED
    ours.choose(SHOP.merchant, guard=Guard.PAID)
    assert ours.chosen(SHOP).guard is Guard.PAID
    assert theirs.chosen(SHOP).guard is Guard.UNFINISHED, "for some seconds"
    assert Merchants(payments_db).chosen(SHOP).guard is Guard.PAID
    rival = Merchants(payments_db).chosen(Scope("rival", SHOP.mode))
    assert rival.guard is Guard.UNFINISHED


def test_one_choice_leaves_the_others_alone(payments_db: Database[Document]) -> None:
    ours = Merchants(payments_db)
    ours.choose(SHOP.merchant, guard=Guard.PAID)
    ours.choose(SHOP.merchant, routes_on=["do_not_honor"])
    assert ours.chosen(SHOP) == Chosen(Guard.PAID, Routes(codes=("do_not_honor",)))
    ours.choose(SHOP.merchant, routes_on=[])
    assert ours.chosen(SHOP) == Chosen(Guard.PAID, Routes())
