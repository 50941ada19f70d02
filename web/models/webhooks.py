"""What providers send to the webhooks, for the documentation: signatures decide."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from web.models import patterns

#: Of the documentation alone; what comes is read by whoever checks the signature.
_SIGNED = r"^t=[0-9]{1,12},v1=[0-9a-f]{64}$"


class ProviderEvent(BaseModel):
    """A provider's event, as it has it."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(min_length=1, max_length=128, description="The same on each retry")


class AccountPath(BaseModel):
    """Whose events."""

    account: str = Field(pattern=patterns.STORED_ACCOUNT_ID)


class StripeHeaders(BaseModel):
    """The header of Stripe's webhooks."""

    signature: str = Field(alias="Stripe-Signature", pattern=_SIGNED)


class PayPalHeaders(BaseModel):
    """The headers of PayPal's webhooks."""

    transmission_id: str = Field(alias="PayPal-Transmission-Id", min_length=1)
    transmission_time: str = Field(alias="PayPal-Transmission-Time", min_length=1)
    transmission_sig: str = Field(alias="PayPal-Transmission-Sig", min_length=1)
    cert_url: str = Field(alias="PayPal-Cert-Url", min_length=1)
    auth_algo: str = Field(alias="PayPal-Auth-Algo", min_length=1)
