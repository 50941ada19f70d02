"""Models that document the providers' webhooks; verifiers check the requests."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from web.models import patterns

#: For the documentation only; the verifier of the signature parses the header.
_SIGNED = r"^t=[0-9]{1,12},v1=[0-9a-f]{64}$"


class ProviderEvent(BaseModel):
    """An event in the provider's own form."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(
        min_length=1, max_length=128, description="The same for each retry of an event"
    )


class AccountPath(BaseModel):
    """The account in an address."""

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
