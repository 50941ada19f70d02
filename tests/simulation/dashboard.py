"""External refunds, captures and voids, made in the provider's dashboard."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Final

from domain.payments.operation import Kind
from domain.payments.submission import ProviderName
from tests.simulation.bank import Bank
from tests.simulation.books import refundable_amount
from tests.simulation.entries import Entry, Stage
from tests.simulation.payers import DECISION_DELAY

#: The prefix of external movements, in place of the id of an operation.
EXTERNAL: Final = "others:"
_AMOUNTS: Final = (7, 40, 60, 100)
#: The time from a refund until it fails.
_FAILS: Final = timedelta(hours=7)


class Dashboard:
    """Changes that a merchant makes in an account's dashboard, chosen at random."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def act(self, bank: Bank) -> str | None:
        """Changes an object of ``bank``; returns a description, or None."""
        bank.pass_time()
        entries = list(bank.entries.values())
        if not entries:
            return None
        entry = entries[int(self._random.random() * len(entries))]
        if entry.stage is Stage.HELD and self._random.random() < 0.6:
            if self._random.random() < 0.6:
                return self._capture(bank, entry)
            return self._void(bank, entry)
        acting = (
            entry.stage is Stage.ACTION_REQUIRED and bank.name is ProviderName.STRIPE
        )
        return self._void(bank, entry) if acting else self._refund(bank, entry)

    def _void(self, bank: Bank, entry: Entry) -> str:
        if entry.stage is Stage.HELD:
            left = entry.amount - entry.captured
            bank.ledger.append((f"{EXTERNAL}{entry.id}", Kind.VOID, left))
        entry.stage, entry.agreed_at = Stage.RELEASED, None
        return f"voids {entry.id}"

    def _capture(self, bank: Bank, entry: Entry) -> str:
        amount = min(self._amount(), entry.amount - entry.captured)
        part = self._part(entry, Kind.CAPTURE, amount)
        entry.captured += amount
        whole = entry.captured == entry.amount
        if whole or not entry.multicapture or self._random.random() < 0.3:
            entry.stage = Stage.DONE
        bank.move(part)
        return f"captures {amount} of {entry.id}"

    def _refund(self, bank: Bank, entry: Entry) -> str | None:
        captures = [one.id for one in entry.parts if one.kind is Kind.CAPTURE]
        taken = [one for one in captures or [entry.id] if refundable_amount(entry, one)]
        if (
            entry.stage in (Stage.ACTION_REQUIRED, Stage.PENDING, Stage.DECLINED)
            or not taken
        ):
            return None
        of = taken[int(self._random.random() * len(taken))]
        amount = min(self._amount(), refundable_amount(entry, of))
        part = self._part(entry, Kind.REFUND, amount)
        part.parent, luck = of, self._random.random()
        if luck < 0.2:
            part.stage, part.decided_at = Stage.PENDING, bank.clock() + DECISION_DELAY
            part.refuses = luck < 0.1
        else:
            part.fails_at = bank.clock() + _FAILS if luck < 0.35 else None
            bank.move(part)
        return f"refunds {amount} of {of}"

    def _part(self, entry: Entry, kind: Kind, amount: int) -> Entry:
        id = f"{entry.id}_x{len(entry.parts) + 1}"
        part = Entry(id, kind, f"{EXTERNAL}{id}", amount, entry.currency, Stage.DONE)
        part.is_external = True
        entry.parts.append(part)
        return part

    def _amount(self) -> int:
        return self._random.choice(_AMOUNTS)
