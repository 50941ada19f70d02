"""Every movement of money, in the order it happened."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final, Literal

from simulators.calls import Json, to_json
from simulators.clock import Clock

#: The last two are a dispute's: withdrawn from the merchant, and given back.
Kind = Literal[
    "charge", "authorize", "capture", "void", "refund", "withdraw", "reinstate"
]

#: Rows kept, some 300 MB. Further payments are refused: forgetting one would hide
#: a double charge.
MAX_MOVEMENTS: Final = 1_000_000


class Ledger:
    """Append-only: one row for each real movement of money."""

    def __init__(self, clock: Clock, *, most: int = MAX_MOVEMENTS) -> None:
        self._clock = clock
        self._most = most
        #: Rows are kept encoded: reading all of them is then one join.
        self._rows: list[bytes] = []
        self.totals: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether no further movement can be recorded."""
        return len(self._rows) >= self._most

    def record(
        self,
        kind: Kind,
        *,
        id: str,
        amount: int,
        currency: str,
        key: str | None,
        account: str,
        metadata: Json,
    ) -> None:
        """Write one row; ``amount`` is in minor units of the ISO 4217 ``currency``."""
        at = datetime.fromtimestamp(self._clock.now(), UTC)
        self.totals[kind] += 1
        self._rows.append(
            to_json(
                {
                    "kind": kind,
                    "id": id,
                    "amount": amount,
                    "currency": currency.upper(),
                    "key": key,
                    "account": account,
                    "metadata": metadata,
                    "at": at.isoformat(timespec="milliseconds"),
                }
            )
        )

    def encoded(self, after: int = 0) -> bytes:
        """Return ``{"movements": [...]}`` as JSON, without the first ``after`` rows."""
        return b'{"movements":[' + b",".join(self._rows[after:]) + b"]}"
