"""Requests and answers between the HTTP server and a simulated provider."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from string import ascii_letters, digits
from typing import Any, Final

#: A JSON object as the standard library reads it.
Json = dict[str, Any]

#: Made once: the standard library would make one for every value.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))

BASE62: Final = (ascii_letters + digits).encode()


def new_id(prefix: str = "", length: int = 24, alphabet: bytes = BASE62) -> str:
    """Return ``prefix`` and ``length`` random characters.

    Letters dominate the alphabets used, so that an identifier does not hold a run
    of digits that a scanner would take for a card number.
    """
    return prefix + os.urandom(length).translate(_table(alphabet)).decode()


@cache
def _table(alphabet: bytes) -> bytes:
    """Map each byte to a letter of the alphabet; far cheaper than choosing one."""
    return bytes(alphabet[byte % len(alphabet)] for byte in range(256))


def to_json(value: object) -> bytes:
    """Encode without spaces; webhook signatures cover these bytes."""
    return _ENCODER.encode(value).encode()


def length(text: str) -> int:
    """Characters by the strictest count: bytes of UTF-8.

    A provider that counts code points or units of UTF-16 counts fewer.
    """
    return len(text.encode("utf-8", "surrogatepass"))


def json_object(body: bytes) -> Json:
    """Return the JSON object of a control call. Raises ``ValueError``."""
    try:
        value = json.loads(body)
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request before it is authenticated and parsed."""

    method: str
    path: str
    #: Base URL the client used, such as ``http://127.0.0.1:4242``.
    base: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    #: Variable parts of the path, by name.
    ids: Mapping[str, str]


@dataclass(slots=True)
class Call:
    """One API request, authenticated and parsed."""

    method: str
    path: str
    #: Base URL the client used, for links in the answer.
    base: str
    headers: Mapping[str, str]
    query: Json
    body: Json
    #: Variable parts of the path, by name.
    ids: Mapping[str, str]
    #: The provider's name for the merchant that called.
    account: str
    #: Idempotency key, or None without one.
    key: str | None
    #: Digest of method, path and parameters; equal for equal requests.
    fingerprint: str
    #: The provider's identifier of this request, for its answer and its events.
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, and its repetition for the same idempotency key."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    #: False if nothing was executed: the provider then stores nothing under the key.
    stored: bool = True
    #: Makes the answer to a repeated request; None repeats this one as it is.
    again: Callable[[Call], Answer] | None = None


class Refused(Exception):
    """The provider refuses the call before it executes anything."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a provider's API."""

    method: str
    path: str
    handler: Callable[[Call], Answer]
    #: Seconds an idempotency key is kept; None for an operation without keys.
    window: float | None = None
    #: Whether it may move money; a full ledger then refuses it.
    moves_money: bool = False
