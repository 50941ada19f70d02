"""The identity of requests, here and at a provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def compute_fingerprint(body: Mapping[str, object]) -> str:
    """SHA-256 of a request's canonical JSON, in hex.

    A field that is null counts as absent, so that a new version of a client which sends
    ``"execute_at": null`` still repeats the same request.
    """
    given = {name: value for name, value in body.items() if value is not None}
    return hashlib.sha256(_CANONICAL.encode(given).encode()).hexdigest()


def derive_provider_key(operation_id: str, generation: int) -> str:
    """The idempotency key of a send at the provider.

    All tries of one ``generation`` share it. The next generation begins only after a
    proof of absence, a rerouting or the payer's approval.
    """
    return f"{operation_id}-{generation}"
