"""Two lists of what moved: what they share is matched, and what differs is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from domain.account import Account
from domain.money import Money
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import (
    Difference,
    Differs,
    Movement,
    Pair,
    Report,
    Standing,
    Tally,
    Way,
    difference,
    differences,
    paired,
)
from tests.suites.samples import NOW

moneys: Final = st.builds(
    Money, st.integers(1, 10**6), st.sampled_from(["USD", "EUR", "JPY"])
)
theirs_stand: Final = st.sampled_from(
    [Standing.MOVED, Standing.UNDER_WAY, Standing.NOT_MOVED]
)


def movement(number: int, **fields: Any) -> Movement:
    """One that both sides have alike, unless ``fields`` say otherwise."""
    whole = Movement(
        way=Way.COLLECTED,
        standing=Standing.MOVED,
        money=Money(1999, "USD"),
        at=NOW,
        ref=f"ch_{number}",
        payment="pay_1",
        operation=f"op_{number}",
    )
    return replace(whole, **fields)


@st.composite
def books(draw: st.DrawFn, least: int = 0) -> list[Movement]:
    """Movements with ids of their own."""
    return [
        movement(
            number,
            way=draw(st.sampled_from(Way)),
            standing=draw(theirs_stand),
            money=draw(moneys),
        )
        for number in range(draw(st.integers(least, 8)))
    ]


@given(books(), st.data())
def test_equal_books_agree_whatever_their_order(
    ours: list[Movement], data: st.DataObject
) -> None:
    theirs = data.draw(st.permutations(ours))
    pairs = paired(ours, theirs)
    assert all(mine == one for mine, one in pairs)
    assert len(pairs) == len(ours)
    assert differences(pairs) == []


@given(books(), books())
def test_every_movement_of_either_side_is_in_one_pair(
    ours: list[Movement], theirs: list[Movement]
) -> None:
    theirs = [replace(one, operation=None) for one in theirs]
    pairs = paired(ours, theirs)
    key = repr
    assert sorted([one for one, _ in pairs if one], key=key) == sorted(ours, key=key)
    assert sorted([one for _, one in pairs if one], key=key) == sorted(theirs, key=key)


@given(books(least=1), st.data())
def test_one_that_is_missing_on_either_side_is_that_sides_alone(
    whole: list[Movement], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(whole))
    rest = [one for one in whole if one is not gone]
    expected = [] if gone.standing is not Standing.MOVED else [Differs.OURS_ALONE]
    found = differences(paired(whole, rest))
    assert [one.differs for one in found] == expected
    assert all((one.ours, one.theirs) == (gone, None) for one in found)

    never = gone.standing is Standing.NOT_MOVED
    found = differences(paired(rest, whole))
    assert [one.differs for one in found] == ([] if never else [Differs.THEIRS_ALONE])
    assert all((one.ours, one.theirs) == (None, gone) for one in found)


@given(books(least=1), st.data())
def test_one_amount_that_differs_is_the_only_difference(
    ours: list[Movement], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(ours) - 1))
    other = data.draw(moneys.filter(lambda money: money != ours[place].money))
    theirs = list(ours)
    theirs[place] = replace(ours[place], money=other)
    found = differences(paired(ours, theirs))
    if ours[place].standing is Standing.NOT_MOVED:
        assert found == []
        return
    [one] = found
    same = other.currency == ours[place].money.currency
    assert one.differs is (Differs.AMOUNT if same else Differs.CURRENCY)
    assert (one.ours, one.theirs) == (ours[place], theirs[place])


@given(books(), books())
def test_the_sums_differ_by_what_the_differences_do(
    ours: list[Movement], theirs: list[Movement]
) -> None:
    pairs = paired(ours, theirs)
    tally, differing = Tally(), Tally()
    for pair in pairs:
        tally.add(pair)
    for found in differences(pairs):
        differing.add((found.ours, found.theirs))
    assert tally.count == len(pairs)
    assert {
        (one.way, one.currency): one.ours - one.theirs
        for one in tally.sums
        if one.ours != one.theirs
    } == {
        (one.way, one.currency): one.ours - one.theirs
        for one in differing.sums
        if one.ours != one.theirs
    }


MINE, THEIRS = movement(1), movement(1)


@pytest.mark.parametrize(
    ("pair", "differs"),
    [
        ((MINE, THEIRS), None),
        ((MINE, replace(THEIRS, standing=Standing.UNDER_WAY)), Differs.STATE),
        ((MINE, replace(THEIRS, standing=Standing.NOT_MOVED)), Differs.STATE),
        ((replace(MINE, standing=Standing.NOT_MOVED), THEIRS), Differs.STATE),
        ((replace(MINE, standing=Standing.UNDER_WAY), THEIRS), Differs.STATE),
        ((replace(MINE, standing=Standing.OPEN), THEIRS), None),
        ((replace(MINE, standing=Standing.OPEN), None), None),
        ((replace(MINE, standing=Standing.UNDER_WAY), None), None),
        ((MINE, None), Differs.OURS_ALONE),
        ((None, THEIRS), Differs.THEIRS_ALONE),
        ((None, replace(THEIRS, standing=Standing.UNDER_WAY)), Differs.THEIRS_ALONE),
    ],
)
def test_a_pair_differs_where_its_sides_say_otherwise(
    pair: Pair, differs: Differs | None
) -> None:
    found = difference(pair)
    assert (found.differs if found else None) is differs


def test_a_second_charge_of_one_operation_is_theirs_alone() -> None:
    second = movement(2, operation="op_1")
    pairs = paired([movement(1)], [second, movement(1)])
    [found] = differences(pairs)
    assert (found.differs, found.ref, found.payment) == (
        Differs.THEIRS_ALONE,
        "ch_2",
        "pay_1",
    )


def test_one_whose_id_we_never_heard_is_matched_by_the_name_that_we_gave_it() -> None:
    lost = [movement(1, ref=None), movement(2, ref=None)]
    assert paired(lost, [movement(2), movement(1)]) == [
        (lost[1], movement(2)),
        (lost[0], movement(1)),
    ]


def test_a_capture_whose_id_we_never_heard_is_matched_by_its_way() -> None:
    """Stripe's charge names the authorization that was captured."""
    lost = movement(2, ref=None, standing=Standing.OPEN)
    gone = movement(3, ref=None, standing=Standing.NOT_MOVED)
    charge = movement(9, operation="op_1")
    assert paired([gone, lost], [charge])[0] == (lost, charge)
    refunded = replace(charge, way=Way.REFUNDED)
    assert (None, refunded) in paired([gone, lost], [refunded])


def test_a_report_counts_what_it_does_not_list() -> None:
    found = Difference(Differs.AMOUNT, MINE, THEIRS)
    report = Report(
        id="rec_1",
        mode=Mode.TEST,
        account=Account.own(ProviderName.STRIPE),
        since=NOW,
        until=NOW + timedelta(hours=1),
        began_at=NOW,
        ended_at=NOW,
        compared=9,
        counts={Differs.AMOUNT: 2, Differs.STATE: 3},
        differences=(found,),
        sums=(),
    )
    assert report.differing == 5
    assert (found.payment, found.operation, found.ref) == ("pay_1", "op_1", "ch_1")


def test_fees_are_summed_in_their_own_currency() -> None:
    tally = Tally()
    tally.add((MINE, replace(THEIRS, fee=Money(58, "EUR"))))
    told = {(one.currency, one.theirs, one.fees) for one in tally.sums}
    assert told == {("USD", 1999, 0), ("EUR", 0, 58)}


@pytest.mark.parametrize(
    ("provider", "since", "until", "after"),
    [
        (ProviderName.STRIPE, -48, 0, None),
        (ProviderName.PAYPAL, -48, 0, -3),
        (ProviderName.PAYPAL, -2, 0, -2),
        (ProviderName.PAYPAL, -48, -3, None),
    ],
)
def test_a_list_that_lags_may_lack_the_last_hours_of_a_report(
    provider: ProviderName, since: int, until: int, after: int | None
) -> None:
    report = Report(
        id="rec_1",
        mode=Mode.TEST,
        account=Account.own(provider),
        since=NOW + timedelta(hours=since),
        until=NOW + timedelta(hours=until),
        began_at=NOW,
        ended_at=NOW,
        compared=0,
        counts={},
        differences=(),
        sums=(),
    )
    expected = None if after is None else NOW + timedelta(hours=after)
    assert report.may_lack_after == expected
