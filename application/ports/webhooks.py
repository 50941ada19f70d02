"""What the handling of webhooks needs of the world, beside the other ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.payments.dispute import DisputeUpdate, DisputeSnapshot
from domain.webhooks import WebhookStatus, Webhook


class WebhookInbox(Protocol):
    """The webhooks of one mode, each once. Every method raises StoreUnavailable."""

    def add(self, webhook: Webhook) -> bool:
        """Stores a webhook, unless it is there; whether it was new.

        What it returns for is durable.
        """

    def load(self, ids: Sequence[str]) -> list[Webhook]:
        """Those of ``ids`` that are due, or will be in a moment."""

    def find_due_ids(self, limit: int) -> list[str]:
        """The webhooks that are due, longest first."""

    def save_results(self, webhooks: Sequence[Webhook]) -> None:
        """Writes what became of each, unless it was handled already."""

    def find(
        self, *, status: WebhookStatus | None, since: datetime | None, limit: int
    ) -> list[Webhook]:
        """At most ``limit`` of that fate, received since then, newest first."""

    def replay(self, ids: Sequence[str], *, now: datetime) -> int:
        """Has those of ``ids`` handled again from ``now``; how many were there."""


class WebhookVerifier(Protocol):
    """Knows one provider's webhooks from anybody else's."""

    event_types: frozenset[str]  #: of events that tell us something

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        sender: str | None = None,
    ) -> Webhook:
        """The event in a request of the provider's; names of headers in small letters.

        ``sender`` is the client address, which bounds what one of them may cost.
        Raises WebhookRefused or WebhookNotTrusted where it is not the provider's,
        CertificateUnavailable where that cannot be told now, and WebhookDropped where
        the provider has signed it and it is not for us.
        """


class DisputeReader(Protocol):
    """What a provider shows of its disputes. It changes nothing there."""

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        """What ``hint`` is about, as it is now: by its id, which does not lag.

        Of a reversal, the dispute that it belongs to, where there is one. Raises
        ProviderError, and no other error.
        """
