"""The patterns of texts in requests, and their error messages.

Python, Rust's regex (pydantic) and ECMA-262 (OpenAPI) understand the patterns alike,
so the documentation shows the patterns that are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: No control characters (Unicode category Cc), which could forge lines in logs.
TEXT: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
#: A provider's token: visible ASCII.
TOKEN: Final = r"^[!-~]+$"
CURRENCY: Final = r"^[A-Z]{3}$"
#: RFC 3986 with http or https, a host and no user name.
URL: Final = (
    r"^https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][!-~]*)?$"
)
#: A check of the form only; the address may not exist.
EMAIL: Final = r"^[^\s@\x00-\x1f\x7f-\x9f]+@[^\s@\x00-\x1f\x7f-\x9f]+$"
#: RFC 3339, section 5.6.
TIME: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+\-][0-9]{2}:[0-9]{2})$"
)
#: The prefix and a ULID in Crockford's base 32.
PAYMENT_ID: Final = r"^pay_[0-9A-HJKMNP-TV-Z]{26}$"
OPERATION_ID: Final = r"^op_[0-9A-HJKMNP-TV-Z]{26}$"
REPLAY_ID: Final = r"^rpl_[0-9A-HJKMNP-TV-Z]{26}$"
#: A merchant's account.
STORED_ACCOUNT_ID: Final = r"^acct_[0-9A-HJKMNP-TV-Z]{26}$"
#: A merchant's account, or the deployment's own.
ACCOUNT_ID: Final = r"^(stripe|paypal|acct_[0-9A-HJKMNP-TV-Z]{26})$"
#: A code of this service or of a provider.
CODE: Final = r"^[A-Za-z0-9_.\-]{1,100}$"
MERCHANT: Final = r"^[!-~]{1,100}$"
CURSOR: Final = r"^[A-Za-z0-9_\-]{1,64}$"

PATTERN_MESSAGES: Final[Mapping[str, str]] = {
    TEXT: "must not have control characters",
    TOKEN: "must be a provider's token: visible ASCII characters, no spaces",
    CURRENCY: "must be an ISO 4217 code in capital letters, such as USD",
    URL: "must be an http or https URL with a host and without a user name",
    EMAIL: "must be an email address",
    TIME: "must be an RFC 3339 time with an offset, such as 2030-01-31T12:00:00Z",
    PAYMENT_ID: "must be the id of a payment",
    OPERATION_ID: "must be the id of an operation",
    REPLAY_ID: "must be the id of a replay",
    STORED_ACCOUNT_ID: "must be the id of a merchant's account",
    ACCOUNT_ID: "must be the id of an account",
    CODE: "must be a code: letters, digits, underscores, points and hyphens",
    MERCHANT: "must be a merchant's name: visible ASCII characters, no spaces",
    CURSOR: "must be a next_cursor of this list",
}
