"""The ports of webhooks and disputes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.payments.dispute import DisputeUpdate, DisputeSnapshot
from domain.webhooks import WebhookStatus, Webhook


class WebhookInbox(Protocol):
    """The stored webhooks of one mode. Every method raises StoreUnavailable."""

    def add(self, webhook: Webhook) -> bool:
        """Stores a webhook durably, unless it is stored already; True if it was new."""

    def load(self, ids: Sequence[str]) -> list[Webhook]:
        """The webhooks of ``ids`` that are due, or will be within ``WAKEUP_GRACE``."""

    def find_due_ids(self, limit: int) -> list[str]:
        """At most ``limit`` ids of due webhooks, the longest wait first."""

    def save_results(self, webhooks: Sequence[Webhook]) -> None:
        """Writes the result of each webhook, unless it was handled already."""

    def find(
        self, *, status: WebhookStatus | None, since: datetime | None, limit: int
    ) -> list[Webhook]:
        """At most ``limit`` webhooks received since then, newest first."""

    def reprocess(self, ids: Sequence[str], *, now: datetime) -> int:
        """Makes the webhooks of ``ids`` due again at ``now``; returns their number."""


class WebhookVerifier(Protocol):
    """Verifies the webhooks of one provider."""

    event_types: frozenset[str]  #: the types of events that concern payments

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        sender: str | None = None,
    ) -> Webhook:
        """The event of a signed request; names of headers are in small letters.

        ``sender`` is the client's address, whose costly requests are limited.
        Raises WebhookRefused or WebhookNotTrusted where the request is not the
        provider's, CertificateUnavailable where that cannot be decided now, and
        WebhookDropped where the provider signed it for another deployment.
        """


class DisputeReader(Protocol):
    """Reads the disputes of a provider."""

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        """The dispute of ``update`` as it is now, by its id, which does not lag.

        For a reversal, the dispute that it belongs to, if there is one. Raises
        ProviderError, and no other error.
        """
