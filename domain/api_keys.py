"""API keys, with their merchant, mode, role and end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.errors import PaymentsError
from domain.payments.submission import Mode

#: Hex digits: 64 bits identify a key, 192 bits are its secret.
NAME_DIGITS: Final = 16
SECRET_DIGITS: Final = 48


class Role(StrEnum):
    """The rights of a key."""

    MERCHANT = "merchant"  #: submit and read its own payments
    OPERATOR = "operator"  #: read and operate on all merchants' payments
    ADMIN = "admin"  #: all rights of an operator, and the management of keys


class KeyNotFound(PaymentsError):
    """There is no such API key."""

    code = "key_not_found"


class KeyChanged(PaymentsError):
    """The merchant, mode or role of the API key was changed in the database."""

    code = "key_changed"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    merchant: str
    mode: Mode
    role: Role
    created_at: datetime
    expires_at: datetime | None = None  #: refused from then on: revoked or rolled

    def is_live_at(self, now: datetime) -> bool:
        """Whether the key is accepted at ``now``."""
        return self.expires_at is None or now < self.expires_at


def find_key_id(secret: str) -> str:
    """The id of the key that ``secret`` belongs to, without a check that it exists."""
    return f"key_{secret.rpartition('_')[2][:NAME_DIGITS]}"
