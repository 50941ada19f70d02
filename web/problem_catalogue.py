"""What can be wrong with a request: every problem that the API answers with."""

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
        "The body must be one JSON document in UTF-8, each name given once.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_REQUIRED: (
        400,
        "Idempotency-Key required",
        "Send an Idempotency-Key header, unique for what you want to happen once.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_MALFORMED: (
        400,
        "Malformed Idempotency-Key",
        "The key is 1 to 255 printable ASCII characters, bare or in double quotes.",
    ),
    ProblemCode.API_KEY_REQUIRED: (
        401,
        "API key required",
        "Send your key as Authorization: Bearer sk_…",
    ),
    ProblemCode.API_KEY_INVALID: (
        401,
        "Invalid API key",
        "The key is unknown or has ended.",
    ),
    ProblemCode.WEBHOOK_REFUSED: (
        400,
        "Webhook refused",
        "The webhook is not well formed, or too old.",
    ),
    ProblemCode.WEBHOOK_NOT_TRUSTED: (
        401,
        "Webhook not trusted",
        "Nobody that the provider vouches for has signed the webhook.",
    ),
    ProblemCode.CERTIFICATE_UNAVAILABLE: (
        503,
        "Certificate unavailable",
        "The certificate of the webhook's signature could not be fetched.",
    ),
    ProblemCode.ROLE_NOT_ALLOWED: (
        403,
        "Not allowed",
        "A key of this role may not do this.",
    ),
    ProblemCode.MODE_NOT_SERVED: (
        403,
        "Mode not served",
        "The key is of a mode, test or live, that this deployment does not serve.",
    ),
    ProblemCode.NOT_FOUND: (404, "Not found", "There is nothing at this address."),
    ProblemCode.PAYMENT_NOT_FOUND: (
        404,
        "Payment not found",
        "You have no payment of that id, or it has no such operation.",
    ),
    ProblemCode.ACCOUNT_NOT_FOUND: (
        404,
        "Account not found",
        "No merchant has an account of that id at this provider.",
    ),
    ProblemCode.BREAKER_NOT_FOUND: (
        404,
        "Circuit breaker not found",
        "There is no such account.",
    ),
    ProblemCode.REPLAY_NOT_FOUND: (
        404,
        "Replay not found",
        "There is no replay of that id.",
    ),
    ProblemCode.METHOD_NOT_ALLOWED: (
        405,
        "Method not allowed",
        "This address does not take that method; see the Allow header.",
    ),
    ProblemCode.REQUEST_TIMEOUT: (
        408,
        "Request timeout",
        "The head of a request has 10 seconds to arrive, and its body 10 more.",
    ),
    ProblemCode.BODY_TOO_LARGE: (
        413,
        "Body too large",
        "A body has at most 64 KiB (a webhook's 1 MiB), 2,000 values in 16 levels, and"
        " names of 256 characters.",
    ),
    ProblemCode.HEAD_TOO_LARGE: (
        431,
        "Headers too large",
        "The address and at most 100 headers have 16 KiB together.",
    ),
    ProblemCode.CONTENT_TYPE_NOT_SUPPORTED: (
        415,
        "Content type not supported",
        "Send Content-Type: application/json, without a content encoding.",
    ),
    ProblemCode.INVALID_PAYMENT: (
        422,
        "Invalid payment",
        "Fields of the payment are wrong; see errors.",
    ),
    ProblemCode.INVALID_REQUEST: (
        422,
        "Invalid request",
        "Fields of the request are wrong; see errors.",
    ),
    ProblemCode.INVALID_QUERY: (
        422,
        "Invalid query",
        "Parameters of the query are wrong; see errors.",
    ),
    ProblemCode.CARD_NUMBER_REFUSED: (
        422,
        "Card data refused",
        "The request has what looks like card data. It was not stored; see errors.",
    ),
    ProblemCode.IDEMPOTENCY_KEY_REUSED: (
        422,
        "Idempotency key reused",
        "This idempotency key was used before with another body.",
    ),
    ProblemCode.CONFLICT: (
        409,
        "Conflict",
        "Things are in no state for this; see reason and what it says.",
    ),
    ProblemCode.REFERENCE_IN_PROGRESS: (
        409,
        "Reference in progress",
        "Another payment of this reference stands in the way: it is unfinished, or its"
        " outcome is not known, or it is paid where paid ones are guarded too. Look at"
        " it (payment), wait for it, or say allow_duplicate_reference.",
    ),
    ProblemCode.TOO_MANY_REQUESTS: (
        429,
        "Too many requests",
        "The key, its merchant or the address made more requests than its quota allows."
        " Wait as long as Retry-After says.",
    ),
    ProblemCode.INTERNAL_ERROR: (
        500,
        "Internal error",
        "Something went wrong on our side. Try again with the same Idempotency-Key.",
    ),
    ProblemCode.WRITE_REFUSED: (
        500,
        "Write refused",
        "The database refuses to store this, and nothing of it is stored. The operators"
        " are told; trying again helps once they have seen to it.",
    ),
    ProblemCode.DOCUMENT_UNREADABLE: (
        500,
        "Document unreadable",
        "What is stored under this id cannot be read. The operators are told, and"
        " nothing of it is lost.",
    ),
    ProblemCode.STORE_UNAVAILABLE: (
        503,
        "Temporarily unavailable",
        "The database did not answer in time. Try again with the same Idempotency-Key:"
        " nothing happens twice.",
    ),
    ProblemCode.OVERLOADED: (
        503,
        "Overloaded",
        "Too many requests wait already. Try again with the same Idempotency-Key.",
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
