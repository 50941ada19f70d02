"""What makes two requests the same, here and at a provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def compute_fingerprint(body: Mapping[str, object]) -> str:
    """SHA-256 of a request's canonical JSON, in hex.

    Fields that are null count as absent, so that a client which learns to send
    ``"execute_at": null`` still repeats the same request.
    """
    given = {name: value for name, value in body.items() if value is not None}
    canonical = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def derive_provider_key(operation_id: str, generation: int) -> str:
    """The key a provider tells our sends apart by.

    It names the intent, not the try: it changes only after proof of absence, or the
    payer's approval, has begun the next ``generation``.
    """
    return f"{operation_id}-{generation}"
