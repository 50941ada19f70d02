"""What the use cases of operators need of the world, over all merchants of a mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.account import Account
from domain.payments.payment import Payment
from domain.replays import ItemOutcome, ReplayItem, ReplaySet, Search, ReplayStage


class OperatorView(Protocol):
    """The payments of all merchants of one mode. Raises StoreUnavailable."""

    def find(self, search: Search, *, before: str | None, limit: int) -> list[Payment]:
        """At most ``limit`` payments that have what is searched for, newest first.

        ``before`` is a payment's id: only older ones than it. What is sealed of them
        may be left out, so none of them is written back.
        """

    def find_moved(
        self, account: Account, since: datetime, until: datetime, *, limit: int
    ) -> list[Payment]:
        """At most ``limit`` of an account's of which we heard from ``since`` until
        before ``until`` (UTC) that money had moved, in any order.
        """

    def get(self, payment_id: str) -> Payment | None:
        """One payment, or None where there is none. Raises DocumentUnreadable."""

    def load(self, ids: Sequence[str]) -> list[Payment]:
        """Those of ``ids`` that are there, as they are stored now, in any order."""

    def find_disputed(self, account: Account, refs: Sequence[str]) -> list[Payment]:
        """An account's with a dispute of one of ``refs``, ids of its charges or
        captures, in any order.
        """


class ReplayStore(Protocol):
    """The frozen sets of one mode. Every method raises StoreUnavailable."""

    def add(self, replay: ReplaySet, items: Sequence[ReplayItem]) -> None:
        """Stores a new set; until it returns, nobody sees it."""

    def get(self, replay_id: str) -> ReplaySet | None:
        """A set, or None where there is none of that id."""

    def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
        """Writes how far a set has come, unless it has left the stage ``was``."""

    def claim_due(self) -> ReplaySet | None:
        """A running set that nobody has worked on for a second.

        It is the caller's for the next one: its rate holds for all together.
        """

    def list_items(
        self, replay_id: str, *, after: int, limit: int, left: bool = False
    ) -> list[ReplayItem]:
        """At most ``limit`` items in order, from behind number ``after``.

        ``left``: only those that have no verdict yet.
        """

    def record_outcomes(
        self, replay_id: str, verdicts: Mapping[int, ItemOutcome]
    ) -> None:
        """Gives the items of these numbers their verdicts; the first one stands."""

    def count_outcomes(self, replay_id: str) -> Mapping[ItemOutcome, int]:
        """How many items have which verdict."""
