"""Models that document the providers' webhooks; verifiers check the requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from web.models import patterns


class ProviderEvent(BaseModel):
    """An event in the provider's own form."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(
        min_length=1, max_length=128, description="The same for each retry of an event"
    )


class AccountPath(BaseModel):
    """The account in an address."""

    account: str = Field(pattern=patterns.STORED_ACCOUNT_ID)


def describe_headers(headers: Mapping[str, str]) -> type[BaseModel]:
    """The model of ``headers``, each with the pattern of its value."""
    fields: dict[str, Any] = {
        name.lower().replace("-", "_"): (str, Field(alias=name, pattern=pattern))
        for name, pattern in headers.items()
    }
    return create_model("WebhookHeaders", **fields)
