"""The reasons for refusing or dropping a webhook."""

from __future__ import annotations

from enum import StrEnum


class WebhookRefusal(StrEnum):
    """The reason for refusing or dropping a webhook; shown in metrics and logs.

    The sender of a refused webhook gets it as well.
    """

    # Refused: the sender gets an error.
    ACCOUNT_UNKNOWN = "account_unknown"  #: no merchant's account has this address
    NOT_SET_UP = "not_set_up"  #: no secret or webhook id to verify it with
    TOO_LARGE = "too_large"
    STALE = "stale"  #: signed too long ago
    SIGNATURE = "signature"  #: the signature does not match
    CERTIFICATE = "certificate"  #: not signed by PayPal's authority
    CERTIFICATE_ADDRESS = "certificate_address"  #: not the address of a certificate
    CERTIFICATE_HOST = "certificate_host"  #: the address is not at PayPal
    CERTIFICATE_UNAVAILABLE = "certificate_unavailable"  #: it could not be fetched

    # Dropped: signed by the provider, but not for this deployment.
    ANOTHER_ACCOUNT = "another_account"
    ANOTHER_MODE = "another_mode"  #: live in a deployment for test, or the reverse

    # Refused or dropped.
    MALFORMED = "malformed"
