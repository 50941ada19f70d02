"""Upgrades documents of earlier releases: each field sealed alone, bound to no place.

Such a seal opens in any place, so the service does not accept it. Only `payments
rotate-keys --from-fernet` opens them, once after an upgrade.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from persistence import accounts, codec, webhooks
from persistence.codec import Document
from persistence.encryption import KeySource, SealBroken, Vault, decode_keys

#: Beginning of every Fernet token: the version 0x80 and the high bytes of a time.
_TOKEN: Final = b"gAAAA"
#: Fields of a payment that were sealed singly; operations have more.
_PERSONAL: Final = (
    *("payment_method", "email", "customer", "description", "return_url"),
)


class OldSeals:
    """Opens Fernet tokens of payments and accounts with any of the payments' keys."""

    def __init__(self, source: KeySource) -> None:
        keys = [base64.urlsafe_b64encode(key) for key in decode_keys(source.keys())]
        self._all = MultiFernet([Fernet(key) for key in keys])
        self._newest = Fernet(keys[0])

    def open(self, token: Any) -> str:
        """Opens a token. Raises SealBroken."""
        try:
            return self._all.decrypt(token).decode()
        except (InvalidToken, TypeError):
            raise SealBroken from None

    def is_current(self, token: bytes) -> bool:
        """Whether the newest key made it."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return False
        return True


def is_old(name: str, document: Mapping[str, Any]) -> bool:
    """Whether ``document`` of the collection ``name`` is of an earlier release."""
    if name == "payments":
        return codec.PERSONAL not in document
    if name == "accounts":
        return accounts.CREDENTIALS not in document
    return is_token(document.get("body"))


def is_token(sealed: Any) -> bool:
    """Whether ``sealed`` looks like a Fernet token."""
    return isinstance(sealed, bytes) and sealed.startswith(_TOKEN)


def upgrade_document(
    name: str, document: Document, old: OldSeals, vault: Vault
) -> Document:
    """The update that upgrades ``document`` to this release. Raises SealBroken."""
    if name == "payments":
        return _upgrade_payment(document, old, vault)
    if name == "accounts":
        return _upgrade_account(document, old, vault)
    body = old.open(document["body"])
    return {"$set": {"body": vault.seal(body, *webhooks.seal_binding(document))}}


def _upgrade_payment(document: Document, old: OldSeals, vault: Vault) -> Document:
    def opened(fields: Mapping[str, Any], name: str) -> str | None:
        return old.open(fields[name]) if name in fields else None

    metadata = opened(document, "metadata")
    personal = {name: opened(document, name) for name in _PERSONAL}
    action, error = document.get("next_action", {}), document.get("last_error", {})
    saved = document.get("saved_method", {})
    sends = [one["send"] for one in document["operations"] if "send" in one]
    provider_data = codec.provider_data(
        action_url=opened(action, "url"),
        message=opened(error, "message"),
        saved=opened(saved, "id"),
        saved_for=opened(saved, "customer"),
        bodies={send["key"]: old.open(send["body"]) for send in sends},
    )
    fields = {
        codec.PERSONAL: codec.to_sealed_text(
            {**personal, "metadata": metadata and json.loads(metadata)}
        ),
        **({codec.PROVIDER: provider_data} if provider_data else {}),
    }
    removed = [*_PERSONAL, "metadata", "saved_method"]
    removed += ["next_action.url"] if "url" in action else []
    removed += ["last_error.message"] if "message" in error else []
    removed += [
        f"operations.{place}.send.body"
        for place, one in enumerate(document["operations"])
        if "send" in one
    ]
    return {
        "$set": {
            name: vault.seal(text, *codec.document_binding(document, name))
            for name, text in fields.items()
        },
        "$unset": dict.fromkeys(removed, ""),
    }


def _upgrade_account(document: Document, old: OldSeals, vault: Vault) -> Document:
    names = ("secret", "client_id", "webhook_id")
    webhook_secrets = document.get("webhook_secrets", [])
    credentials = codec.to_sealed_text(
        {
            **{name: old.open(document[name]) for name in names if name in document},
            "webhook_secrets": [old.open(one) for one in webhook_secrets],
        }
    )
    sealed = vault.seal(credentials, *accounts.seal_binding(document))
    return {
        "$set": {accounts.CREDENTIALS: sealed},
        "$unset": dict.fromkeys((*names, "webhook_secrets"), ""),
    }
