"""Arbitrary values that other applications wrote on objects.

For tests of readers: a real provider's object can hold texts, numbers and shapes in
fields that no call of ours would put there.
"""

from __future__ import annotations

import json
from typing import Any, Final

from simulators.calls import Json, to_json

#: Objects that can be overwritten at once.
MAX_OVERWRITTEN: Final = 1_000
#: Fields that hold an object's id.
_IDS: Final = ("id", "transaction_id", "dispute_id")


class Overwrites:
    """Fields by the id of their object; answers and events show them instead.

    The state of the simulator does not change.
    """

    def __init__(self) -> None:
        self._fields: dict[str, Json] = {}

    def set(self, id: str, fields: Json) -> None:
        """Raises ``ValueError`` if too many objects are overwritten."""
        if len(self._fields) >= MAX_OVERWRITTEN and id not in self._fields:
            raise ValueError(f"at most {MAX_OVERWRITTEN} objects can be overwritten")
        self._fields[id] = fields

    def in_body(self, body: bytes) -> bytes:
        """Return the body of an answer or an event with the overwritten fields."""
        if not self._fields:
            return body
        try:
            return to_json(self._shown(json.loads(body)))
        except ValueError:
            return body

    def _shown(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._shown(one) for one in value]
        if not isinstance(value, dict):
            return value
        shown = {name: self._shown(one) for name, one in value.items()}
        for name in _IDS:
            id = value.get(name)
            if isinstance(id, str):
                shown |= self._fields.get(id, {})
        return shown
