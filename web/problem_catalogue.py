"""The catalogue of the API's problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from web.problem_codes import ProblemCode

#: Status, title and explanation of each code.
CATALOGUE: Final[Mapping[ProblemCode, tuple[int, str, str]]] = {
    ProblemCode.BAD_REQUEST: (
        400,
        "Bad request",
        "The request is not well-formed HTTP.",
    ),
    ProblemCode.MALFORMED_JSON: (
        400,
        "Malformed JSON",
        "The body must be one JSON document in UTF-8 without repeated names.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_REQUIRED: (
        400,
        "Idempotency-Key required",
        "Send an Idempotency-Key header with a unique value for each operation.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_MALFORMED: (
        400,
        "Malformed Idempotency-Key",
        "The key must have 1 to 255 printable ASCII characters, with or without double"
        " quotes.",
    ),
    ProblemCode.API_KEY_REQUIRED: (
        401,
        "API key required",
        "Send your key as Authorization: Bearer sk_…",
    ),
    ProblemCode.API_KEY_INVALID: (
        401,
        "Invalid API key",
        "The key is unknown, expired or revoked.",
    ),
    ProblemCode.WEBHOOK_REFUSED: (
        400,
        "Webhook refused",
        "The webhook is malformed or too old.",
    ),
    ProblemCode.WEBHOOK_NOT_TRUSTED: (
        401,
        "Webhook not trusted",
        "The webhook's signature is not valid.",
    ),
    ProblemCode.CERTIFICATE_UNAVAILABLE: (
        503,
        "Certificate unavailable",
        "The certificate for the webhook's signature could not be fetched.",
    ),
    ProblemCode.ROLE_NOT_ALLOWED: (
        403,
        "Not allowed",
        "The key's role does not allow this request.",
    ),
    ProblemCode.MODE_NOT_SERVED: (
        403,
        "Mode not served",
        "This deployment does not serve the key's mode (test or live).",
    ),
    ProblemCode.NOT_FOUND: (404, "Not found", "This address does not exist."),
    ProblemCode.PAYMENT_NOT_FOUND: (
        404,
        "Payment not found",
        "You have no payment with this id, or the payment has no such operation.",
    ),
    ProblemCode.ACCOUNT_NOT_FOUND: (
        404,
        "Account not found",
        "No merchant has an account with this id at this provider.",
    ),
    ProblemCode.BREAKER_NOT_FOUND: (
        404,
        "Circuit breaker not found",
        "There is no account with this id.",
    ),
    ProblemCode.REPLAY_NOT_FOUND: (
        404,
        "Replay not found",
        "There is no replay with this id.",
    ),
    ProblemCode.METHOD_NOT_ALLOWED: (
        405,
        "Method not allowed",
        "This address does not support the method. The Allow header lists the supported"
        " methods.",
    ),
    ProblemCode.REQUEST_TIMEOUT: (
        408,
        "Request timeout",
        "The head of a request must arrive within 10 seconds, and its body within 10"
        " more.",
    ),
    ProblemCode.BODY_TOO_LARGE: (
        413,
        "Body too large",
        "A body may have at most 64 KiB (1 MiB for a webhook), 2,000 values, 16 levels"
        " and 256 characters in a name.",
    ),
    ProblemCode.HEAD_TOO_LARGE: (
        431,
        "Headers too large",
        "A request may have at most 100 headers, and its address and headers together"
        " at most 16 KiB.",
    ),
    ProblemCode.CONTENT_TYPE_NOT_SUPPORTED: (
        415,
        "Content type not supported",
        "Send Content-Type: application/json and no Content-Encoding.",
    ),
    ProblemCode.INVALID_PAYMENT: (
        422,
        "Invalid payment",
        "The payment has invalid fields. See errors.",
    ),
    ProblemCode.INVALID_REQUEST: (
        422,
        "Invalid request",
        "The request has invalid fields. See errors.",
    ),
    ProblemCode.INVALID_QUERY: (
        422,
        "Invalid query",
        "The query has invalid parameters. See errors.",
    ),
    ProblemCode.CARD_NUMBER_REFUSED: (
        422,
        "Card data refused",
        "The request appears to contain card data. Nothing was stored. See errors.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_REUSED: (
        422,
        "Idempotency key reused",
        "This idempotency key was used with another body.",
    ),
    ProblemCode.CONFLICT: (
        409,
        "Conflict",
        "The payment's state does not allow this. See reason.",
    ),
    ProblemCode.REFERENCE_IN_PROGRESS: (
        409,
        "Reference in progress",
        "Another payment with this reference blocks this one: it is unfinished, its"
        " outcome is unknown, or it is paid and the merchant's policy blocks paid"
        " references too. Read that payment (see payment), wait for it, or set"
        " allow_duplicate_reference.",
    ),
    ProblemCode.TOO_MANY_REQUESTS: (
        429,
        "Too many requests",
        "The key, its merchant or the address has exceeded its quota. Wait for the"
        " seconds in Retry-After.",
    ),
    ProblemCode.INTERNAL_ERROR: (
        500,
        "Internal error",
        "The server failed unexpectedly. Try again with the same Idempotency-Key.",
    ),
    ProblemCode.WRITE_REFUSED: (
        500,
        "Write refused",
        "The database refused the write, and nothing was stored. The operators are"
        " alerted. Try again once they have fixed the cause.",
    ),
    ProblemCode.DOCUMENT_UNREADABLE: (
        500,
        "Document unreadable",
        "The document stored under this id cannot be read. The operators are alerted,"
        " and no data is lost.",
    ),
    ProblemCode.STORE_UNAVAILABLE: (
        503,
        "Temporarily unavailable",
        "The database did not answer in time. Try again with the same Idempotency-Key;"
        " nothing is done twice.",
    ),
    ProblemCode.OVERLOADED: (
        503,
        "Overloaded",
        "Too many requests are waiting. Try again with the same Idempotency-Key.",
    ),
    ProblemCode.STUCK: (
        503,
        "Stuck",
        "All request threads are busy, and none has finished for 45 seconds.",
    ),
    ProblemCode.NOT_READY: (
        503,
        "Not ready",
        "This process cannot accept payments now.",
    ),
}
