"""Two lists of movements: equal ones are matched, and differences are named."""

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
    DifferenceKind,
    Movement,
    Pair,
    ReconciliationReport,
    MovementStatus,
    Totals,
    Direction,
    compare_pair,
    find_differences,
    match_movements,
)
from tests.suites.samples import NOW

moneys: Final = st.builds(
    Money, st.integers(1, 10**6), st.sampled_from(["USD", "EUR", "JPY"])
)
theirs_stand: Final = st.sampled_from(
    [MovementStatus.MOVED, MovementStatus.UNDER_WAY, MovementStatus.NOT_MOVED]
)


def movement(number: int, **fields: Any) -> Movement:
    """A movement that both sides have, with ``fields`` changed."""
    whole = Movement(
        direction=Direction.COLLECTED,
        status=MovementStatus.MOVED,
        money=Money(1999, "USD"),
        at=NOW,
        ref=f"ch_{number}",
        payment="pay_1",
        operation=f"op_{number}",
    )
    return replace(whole, **fields)


@st.composite
def books(draw: st.DrawFn, least: int = 0) -> list[Movement]:
    """Movements with distinct ids."""
    return [
        movement(
            number,
            direction=draw(st.sampled_from(Direction)),
            status=draw(theirs_stand),
            money=draw(moneys),
        )
        for number in range(draw(st.integers(least, 8)))
    ]


@given(books(), st.data())
def test_equal_books_agree_in_any_order(
    ours: list[Movement], data: st.DataObject
) -> None:
    theirs = data.draw(st.permutations(ours))
    pairs = match_movements(ours, theirs)
    assert all(mine == one for mine, one in pairs)
    assert len(pairs) == len(ours)
    assert find_differences(pairs) == []


@given(books(), books())
def test_every_movement_of_either_side_is_in_one_pair(
    ours: list[Movement], theirs: list[Movement]
) -> None:
    theirs = [replace(one, operation=None) for one in theirs]
    pairs = match_movements(ours, theirs)
    key = repr
    assert sorted([one for one, _ in pairs if one], key=key) == sorted(ours, key=key)
    assert sorted([one for _, one in pairs if one], key=key) == sorted(theirs, key=key)


@given(books(least=1), st.data())
def test_movement_missing_on_one_side_is_a_difference_of_the_other_side(
    whole: list[Movement], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(whole))
    rest = [one for one in whole if one is not gone]
    expected = (
        [] if gone.status is not MovementStatus.MOVED else [DifferenceKind.OURS_ALONE]
    )
    found = find_differences(match_movements(whole, rest))
    assert [one.kind for one in found] == expected
    assert all((one.ours, one.theirs) == (gone, None) for one in found)

    never = gone.status is MovementStatus.NOT_MOVED
    found = find_differences(match_movements(rest, whole))
    assert [one.kind for one in found] == (
        [] if never else [DifferenceKind.THEIRS_ALONE]
    )
    assert all((one.ours, one.theirs) == (None, gone) for one in found)


@given(books(least=1), st.data())
def test_differing_amount_is_the_only_difference(
    ours: list[Movement], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(ours) - 1))
    other = data.draw(moneys.filter(lambda money: money != ours[place].money))
    theirs = list(ours)
    theirs[place] = replace(ours[place], money=other)
    found = find_differences(match_movements(ours, theirs))
    if ours[place].status is MovementStatus.NOT_MOVED:
        assert found == []
        return
    [one] = found
    same = other.currency == ours[place].money.currency
    assert one.kind is (DifferenceKind.AMOUNT if same else DifferenceKind.CURRENCY)
    assert (one.ours, one.theirs) == (ours[place], theirs[place])


@given(books(), books())
def test_sums_differ_by_the_sum_of_the_differences(
    ours: list[Movement], theirs: list[Movement]
) -> None:
    pairs = match_movements(ours, theirs)
    tally, differing = Totals(), Totals()
    for pair in pairs:
        tally.add(pair)
    for found in find_differences(pairs):
        differing.add((found.ours, found.theirs))
    assert tally.count == len(pairs)
    assert {
        (one.direction, one.currency): one.ours - one.theirs
        for one in tally.by_direction
        if one.ours != one.theirs
    } == {
        (one.direction, one.currency): one.ours - one.theirs
        for one in differing.by_direction
        if one.ours != one.theirs
    }


MINE, THEIRS = movement(1), movement(1)


@pytest.mark.parametrize(
    ("pair", "differs"),
    [
        ((MINE, THEIRS), None),
        (
            (MINE, replace(THEIRS, status=MovementStatus.UNDER_WAY)),
            DifferenceKind.STATE,
        ),
        (
            (MINE, replace(THEIRS, status=MovementStatus.NOT_MOVED)),
            DifferenceKind.STATE,
        ),
        (
            (replace(MINE, status=MovementStatus.NOT_MOVED), THEIRS),
            DifferenceKind.STATE,
        ),
        (
            (replace(MINE, status=MovementStatus.UNDER_WAY), THEIRS),
            DifferenceKind.STATE,
        ),
        ((replace(MINE, status=MovementStatus.OPEN), THEIRS), None),
        ((replace(MINE, status=MovementStatus.OPEN), None), None),
        ((replace(MINE, status=MovementStatus.UNDER_WAY), None), None),
        ((MINE, None), DifferenceKind.OURS_ALONE),
        ((None, THEIRS), DifferenceKind.THEIRS_ALONE),
        (
            (None, replace(THEIRS, status=MovementStatus.UNDER_WAY)),
            DifferenceKind.THEIRS_ALONE,
        ),
    ],
)
def test_pair_differs_where_its_sides_disagree(
    pair: Pair, differs: DifferenceKind | None
) -> None:
    found = compare_pair(pair)
    assert (found.kind if found else None) is differs


def test_a_second_charge_of_one_operation_is_theirs_alone() -> None:
    second = movement(2, operation="op_1")
    pairs = match_movements([movement(1)], [second, movement(1)])
    [found] = find_differences(pairs)
    assert (found.kind, found.ref, found.payment) == (
        DifferenceKind.THEIRS_ALONE,
        "ch_2",
        "pay_1",
    )


def test_movement_without_a_known_id_is_matched_by_our_id() -> None:
    lost = [movement(1, ref=None), movement(2, ref=None)]
    assert match_movements(lost, [movement(2), movement(1)]) == [
        (lost[1], movement(2)),
        (lost[0], movement(1)),
    ]


def test_capture_without_a_known_id_is_matched_by_its_direction() -> None:
    """Stripe's charge names the authorization that was captured."""
    lost = movement(2, ref=None, status=MovementStatus.OPEN)
    gone = movement(3, ref=None, status=MovementStatus.NOT_MOVED)
    charge = movement(9, operation="op_1")
    assert match_movements([gone, lost], [charge])[0] == (lost, charge)
    refunded = replace(charge, direction=Direction.REFUNDED)
    assert (None, refunded) in match_movements([gone, lost], [refunded])


def test_report_counts_differences_that_it_does_not_list() -> None:
    found = Difference(DifferenceKind.AMOUNT, MINE, THEIRS)
    report = ReconciliationReport(
        id="rec_1",
        mode=Mode.TEST,
        account=Account.own(ProviderName.STRIPE),
        since=NOW,
        until=NOW + timedelta(hours=1),
        began_at=NOW,
        ended_at=NOW,
        compared=9,
        counts={DifferenceKind.AMOUNT: 2, DifferenceKind.STATE: 3},
        differences=(found,),
        totals=(),
    )
    assert report.difference_count == 5
    assert (found.payment, found.operation, found.ref) == ("pay_1", "op_1", "ch_1")


def test_fees_are_summed_in_their_own_currency() -> None:
    tally = Totals()
    tally.add((MINE, replace(THEIRS, fee=Money(58, "EUR"))))
    sums = {(one.currency, one.theirs, one.fees) for one in tally.by_direction}
    assert sums == {("USD", 1999, 0), ("EUR", 0, 58)}


@pytest.mark.parametrize(
    ("provider", "since", "until", "after"),
    [
        (ProviderName.STRIPE, -48, 0, None),
        (ProviderName.PAYPAL, -48, 0, -3),
        (ProviderName.PAYPAL, -2, 0, -2),
        (ProviderName.PAYPAL, -48, -3, None),
    ],
)
def test_a_late_list_may_lack_the_last_hours_of_a_report(
    provider: ProviderName, since: int, until: int, after: int | None
) -> None:
    report = ReconciliationReport(
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
        totals=(),
    )
    expected = None if after is None else NOW + timedelta(hours=after)
    assert report.may_lack_after == expected
