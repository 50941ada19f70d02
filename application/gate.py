"""What stands before each provider account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from application.ports import Admission
from domain.answer import Answer
from domain.errors import ProviderError
from domain.submission import ProviderName


class OpenGates:
    """Gates that let everybody in."""

    def admit(self, provider: ProviderName, wanted: int) -> Admission:
        """See Gates."""
        return Admission(wanted, timedelta())

    def tell(
        self, provider: ProviderName, outcomes: Sequence[Answer | ProviderError]
    ) -> None:
        """See Gates."""
