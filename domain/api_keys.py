"""API keys: their merchant, their mode, their role, and how long each is accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.errors import PaymentsError
from domain.payments.submission import Mode

#: Hex digits: 64 bits tell the keys apart, 192 bits keep one secret.
NAME_DIGITS: Final = 16
SECRET_DIGITS: Final = 48


class Role(StrEnum):
    """The rights of a key."""

    MERCHANT = "merchant"  #: submit and read its own payments
    OPERATOR = "operator"  #: read and operate on all merchants' payments
    ADMIN = "admin"  #: all that an operator may, and the keys


class KeyNotFound(PaymentsError):
    """There is no such API key."""

    code = "key_not_found"


class KeyChanged(PaymentsError):
    """Somebody changed whose the API key is, in the database."""

    code = "key_changed"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    merchant: str
    mode: Mode
    role: Role
    created_at: datetime
    expires_at: datetime | None = None  #: revoked or rolled: refused from then on

    def is_live_at(self, now: datetime) -> bool:
        """Whether the key is accepted at ``now``."""
        return self.expires_at is None or now < self.expires_at


def find_key_id(secret: str) -> str:
    """The id of the key that ``secret`` would open; any text has one."""
    return f"key_{secret.rpartition('_')[2][:NAME_DIGITS]}"
