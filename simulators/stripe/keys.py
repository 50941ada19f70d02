"""Secret keys: their accounts, and the rolling of a key."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Final, TypeGuard

from simulators.calls import Answer, Json, Refused, Request, json_object, to_json
from simulators.provider import Page, World
from simulators.stripe.errors import error
from simulators.stripe.store import connected_account

#: Prefixes of connected accounts, and of accounts that no key may use.
_CONNECTED: Final = re.compile(r"acct_[A-Za-z0-9_]{1,64}\Z")
_MISSING: Final = "acct_missing"
#: Prefix of test keys; Stripe's restricted and live ones open nothing here.
_SECRET: Final = "sk_test_"
#: Characters of a key, and keys that were rolled, at most.
_LONGEST: Final = 255
_MOST: Final = 1_000


class Keys:
    """Each key opens its own account; a key from a roll opens the old key's account."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self._opens: dict[str, str] = {}  # the key that one was rolled to, its account
        self._ends: dict[str, float] = {}  # when one that was rolled ends

    @property
    def page(self) -> Page:
        """``POST /_keys/roll``."""
        return Page("POST", "/_keys/roll", self._roll)

    def account(self, headers: Mapping[str, str]) -> str:
        """Return the account of a call's key, or the named connected one. Raises
        ``Refused``."""
        key = _secret_key(headers.get("Authorization", ""))
        if not key:
            raise Refused(
                error(
                    401,
                    "You did not provide an API key. You need to provide your API key "
                    "in the Authorization header, using Bearer auth.",
                )
            )
        if not _is_secret(key):
            raise Refused(error(401, f"Invalid API Key provided: {_masked(key)}"))
        if self._clock.now() >= self._ends.get(key, float("inf")):
            words = f"Expired API Key provided: {_masked(key)}"
            raise Refused(error(401, words, code="api_key_expired"))
        return _below(self._platform(key), headers.get("Stripe-Account"))

    def _platform(self, key: str) -> str:
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return self._opens.get(key, f"acct_{digest}")

    def _roll(self, request: Request) -> Answer:
        try:
            return Answer(201, to_json(self._rolled(json_object(request.body))))
        except ValueError as bad:
            return Answer(400, to_json({"error": str(bad)}))

    def _rolled(self, wanted: Json) -> Json:
        """As at Stripe: ``new`` opens the account of ``old``, which ends later."""
        old, new, after = wanted.get("old"), wanted.get("new"), wanted.get("ends_in", 0)
        if not _is_secret(old) or not _is_secret(new) or old == new:
            raise ValueError(f"old and new must be two keys that begin {_SECRET}")
        if isinstance(after, bool) or not isinstance(after, int | float) or after < 0:
            raise ValueError("ends_in must be a number of seconds")
        if new in self._opens or new in self._ends:
            raise ValueError("new was rolled before")
        if len(self._ends) >= _MOST:
            raise ValueError(f"no more than {_MOST:,} keys are rolled")
        self._opens[new] = self._platform(old)
        self._ends[old] = self._clock.now() + after
        return {"account": self._opens[new], "ends_at": self._ends[old]}


def _below(platform: str, connected: str | None) -> str:
    if connected is None:
        return platform
    if not _CONNECTED.match(connected) or connected.startswith(_MISSING):
        raise Refused(
            error(
                403,
                f"The provided key does not have access to account "
                f"'{connected[:100]}' (or that account does not exist). "
                f"Application access may have been revoked.",
                code="account_invalid",
            )
        )
    return connected_account(platform, connected)


def _is_secret(key: object) -> TypeGuard[str]:
    return (
        isinstance(key, str)
        and key.startswith(_SECRET)
        and len(_SECRET) < len(key) <= _LONGEST
    )


def _masked(key: str) -> str:
    return f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * 8


def _secret_key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[0]
        except (NotBase64, UnicodeDecodeError):
            return ""
    return ""
