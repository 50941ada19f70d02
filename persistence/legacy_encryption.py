"""Documents of earlier releases: fields sealed one by one, and bound to no place.

Such a seal opens wherever it is put, so no process of the service takes one. Only
`payments rotate-keys --from-fernet` opens them, once after an upgrade.
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

#: How every Fernet token begins: its version, 0x80, and the high bytes of a time.
_TOKEN: Final = b"gAAAA"
#: Fields of a payment that were sealed, each by itself; operations have more.
_PERSONAL: Final = (
    *("payment_method", "email", "customer", "description", "return_url"),
)


class OldSeals:
    """Fernet tokens under any of the payments' keys; they sealed accounts as well."""

    def __init__(self, source: KeySource) -> None:
        keys = [base64.urlsafe_b64encode(key) for key in decode_keys(source.keys())]
        self._all = MultiFernet([Fernet(key) for key in keys])
        self._newest = Fernet(keys[0])

    def open(self, token: Any) -> str:
        """Raises SealBroken."""
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
    """Whether ``document`` of the collection ``name`` is an earlier release's."""
    if name == "payments":
        return codec.PERSONAL not in document
    if name == "accounts":
        return accounts.CREDENTIALS not in document
    return is_token(document.get("body"))


def is_token(sealed: Any) -> bool:
    """Whether it looks like a Fernet token."""
    return isinstance(sealed, bytes) and sealed.startswith(_TOKEN)


def upgrade_document(
    name: str, document: Document, old: OldSeals, vault: Vault
) -> Document:
    """The update that makes ``document`` one of this release. Raises SealBroken."""
    if name == "payments":
        return _payment(document, old, vault)
    if name == "accounts":
        return _account(document, old, vault)
    body = old.open(document["body"])
    return {"$set": {"body": vault.seal(body, *webhooks.seal_binding(document))}}


def _payment(document: Document, old: OldSeals, vault: Vault) -> Document:
    def opened(of: Mapping[str, Any], name: str) -> str | None:
        return old.open(of[name]) if name in of else None

    metadata = opened(document, "metadata")
    personal = {name: opened(document, name) for name in _PERSONAL}
    action, error = document.get("next_action", {}), document.get("last_error", {})
    saved = document.get("saved_method", {})
    sends = [one["send"] for one in document["operations"] if "send" in one]
    told = codec.provider_data(
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
        **({codec.PROVIDER: told} if told else {}),
    }
    gone = [*_PERSONAL, "metadata", "saved_method"]
    gone += ["next_action.url"] if "url" in action else []
    gone += ["last_error.message"] if "message" in error else []
    gone += [
        f"operations.{place}.send.body"
        for place, one in enumerate(document["operations"])
        if "send" in one
    ]
    return {
        "$set": {
            name: vault.seal(text, *codec.document_binding(document, name))
            for name, text in fields.items()
        },
        "$unset": dict.fromkeys(gone, ""),
    }


def _account(document: Document, old: OldSeals, vault: Vault) -> Document:
    one_each = ("secret", "client_id", "webhook_id")
    signs = document.get("webhook_secrets", [])
    opens = codec.to_sealed_text(
        {
            **{name: old.open(document[name]) for name in one_each if name in document},
            "webhook_secrets": [old.open(one) for one in signs],
        }
    )
    sealed = vault.seal(opens, *accounts.seal_binding(document))
    return {
        "$set": {accounts.CREDENTIALS: sealed},
        "$unset": dict.fromkeys((*one_each, "webhook_secrets"), ""),
    }
