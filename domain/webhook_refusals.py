"""Why a webhook is not taken."""

from __future__ import annotations

from enum import StrEnum


class WebhookRefusal(StrEnum):
    """Why a webhook is refused or dropped: for metrics, logs and its sender."""

    # Refused: the sender is told.
    ACCOUNT_UNKNOWN = "account_unknown"  #: no merchant's account has this address
    NOT_SET_UP = "not_set_up"  #: no secret or webhook id to verify it by
    TOO_LARGE = "too_large"
    STALE = "stale"  #: signed too long ago
    SIGNATURE = "signature"  #: it does not fit
    CERTIFICATE = "certificate"  #: PayPal's authority has not signed it
    CERTIFICATE_ADDRESS = "certificate_address"  #: no address of a certificate
    CERTIFICATE_HOST = "certificate_host"  #: the address is not at PayPal
    CERTIFICATE_UNAVAILABLE = "certificate_unavailable"  #: it could not be fetched

    # Dropped: signed by the provider, and not for this deployment.
    ANOTHER_ACCOUNT = "another_account"
    ANOTHER_MODE = "another_mode"  #: live where test is served, or the reverse

    # Either.
    MALFORMED = "malformed"
