"""The ports of operators, over all merchants of a mode."""

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
        """At most ``limit`` payments with matching operations, newest first.

        ``before`` is a payment's id: all results are older than it. Encrypted fields
        may be missing, so none of the payments may be written back.
        """

    def find_moved(
        self, account: Account, since: datetime, until: datetime, *, limit: int
    ) -> list[Payment]:
        """At most ``limit`` payments of an account with a movement, in any order.

        The answer with the movement came from ``since`` until before ``until`` (UTC).
        """

    def get(self, payment_id: str) -> Payment | None:
        """One payment, or None where there is none. Raises DocumentUnreadable."""

    def load(self, ids: Sequence[str]) -> list[Payment]:
        """The stored payments of ``ids``, in any order."""

    def find_disputed(self, account: Account, refs: Sequence[str]) -> list[Payment]:
        """The payments of an account with a dispute of one of ``refs``, in any order.

        ``refs`` are the provider's ids of charges or captures.
        """


class ReplayStore(Protocol):
    """The frozen sets of one mode. Every method raises StoreUnavailable."""

    def add(self, replay: ReplaySet, items: Sequence[ReplayItem]) -> None:
        """Stores a new set, which is visible as a whole only."""

    def get(self, replay_id: str) -> ReplaySet | None:
        """A set, or None where there is none of that id."""

    def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
        """Writes the stage and run of a set; False if its stage is not ``was`` now."""

    def claim_due(self) -> ReplaySet | None:
        """A running set that no call has claimed for a second.

        The claim lasts a second, so all processes together keep the set's rate.
        """

    def list_items(
        self, replay_id: str, *, after: int, limit: int, left: bool = False
    ) -> list[ReplayItem]:
        """At most ``limit`` items in order, after number ``after``.

        With ``left``, only items without an outcome.
        """

    def record_outcomes(
        self, replay_id: str, verdicts: Mapping[int, ItemOutcome]
    ) -> None:
        """Stores the outcomes of items by their numbers; an earlier outcome stays."""

    def count_outcomes(self, replay_id: str) -> Mapping[ItemOutcome, int]:
        """The number of items by outcome."""
