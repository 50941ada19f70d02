"""What can be wrong with a request: every problem that the API answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Status, title and explanation of each code.
CATALOGUE: Final[Mapping[str, tuple[int, str, str]]] = {
    "bad_request": (400, "Bad request", "The request is not well-formed HTTP."),
    "malformed_json": (
        400,
        "Malformed JSON",
        "The body must be one JSON document in UTF-8, each name given once.",
    ),
    "idempotency_key_required": (
        400,
        "Idempotency-Key required",
        "Send an Idempotency-Key header, unique for what you want to happen once.",
    ),
    "idempotency_key_malformed": (
        400,
        "Malformed Idempotency-Key",
        "The key is 1 to 255 printable ASCII characters, bare or in double quotes.",
    ),
    "api_key_required": (
        401,
        "API key required",
        "Send your key as Authorization: Bearer sk_…",
    ),
    "api_key_invalid": (401, "Invalid API key", "The key is unknown or has ended."),
    "webhook_refused": (
        400,
        "Webhook refused",
        "The webhook is not well formed, or too old.",
    ),
    "webhook_not_trusted": (
        401,
        "Webhook not trusted",
        "Nobody that the provider vouches for has signed the webhook.",
    ),
    "certificate_unavailable": (
        503,
        "Certificate unavailable",
        "The certificate of the webhook's signature could not be fetched.",
    ),
    "role_not_allowed": (403, "Not allowed", "A key of this role may not do this."),
    "mode_not_served": (
        403,
        "Mode not served",
        "The key is of a mode, test or live, that this deployment does not serve.",
    ),
    "not_found": (404, "Not found", "There is nothing at this address."),
    "payment_not_found": (
        404,
        "Payment not found",
        "You have no payment of that id, or it has no such operation.",
    ),
    "account_not_found": (
        404,
        "Account not found",
        "No merchant has an account of that id at this provider.",
    ),
    "gate_not_found": (404, "Gate not found", "There is no such account."),
    "replay_not_found": (404, "Replay not found", "There is no replay of that id."),
    "method_not_allowed": (
        405,
        "Method not allowed",
        "This address does not take that method; see the Allow header.",
    ),
    "request_timeout": (
        408,
        "Request timeout",
        "The head of a request has 10 seconds to arrive, and its body 10 more.",
    ),
    "body_too_large": (
        413,
        "Body too large",
        "A body has at most 64 KiB (a webhook's 1 MiB), 2,000 values in 16 levels, and"
        " names of 256 characters.",
    ),
    "head_too_large": (
        431,
        "Headers too large",
        "The address and at most 100 headers have 16 KiB together.",
    ),
    "content_type_not_supported": (
        415,
        "Content type not supported",
        "Send Content-Type: application/json, without a content encoding.",
    ),
    "invalid_payment": (
        422,
        "Invalid payment",
        "Fields of the payment are wrong; see errors.",
    ),
    "invalid_request": (
        422,
        "Invalid request",
        "Fields of the request are wrong; see errors.",
    ),
    "invalid_query": (
        422,
        "Invalid query",
        "Parameters of the query are wrong; see errors.",
    ),
    "card_number_refused": (
        422,
        "Card data refused",
        "The request has what looks like card data. It was not stored; see errors.",
    ),
    "idempotency_key_reused": (
        422,
        "Idempotency key reused",
        "This idempotency key was used before with another body.",
    ),
    "conflict": (
        409,
        "Conflict",
        "Things are in no state for this; see reason and what it says.",
    ),
    "reference_in_progress": (
        409,
        "Reference in progress",
        "Another payment of this reference stands in the way: it is unfinished, or its"
        " outcome is not known, or it is paid where paid ones are guarded too. Look at"
        " it (payment), wait for it, or say allow_duplicate_reference.",
    ),
    "too_many_requests": (
        429,
        "Too many requests",
        "The key, its merchant or the address made more requests than its quota allows."
        " Wait as long as Retry-After says.",
    ),
    "internal_error": (
        500,
        "Internal error",
        "Something went wrong on our side. Try again with the same Idempotency-Key.",
    ),
    "write_refused": (
        500,
        "Write refused",
        "The database refuses to store this, and nothing of it is stored. The operators"
        " are told; trying again helps once they have seen to it.",
    ),
    "document_unreadable": (
        500,
        "Document unreadable",
        "What is stored under this id cannot be read. The operators are told, and"
        " nothing of it is lost.",
    ),
    "store_unavailable": (
        503,
        "Temporarily unavailable",
        "The database did not answer in time. Try again with the same Idempotency-Key:"
        " nothing happens twice.",
    ),
    "overloaded": (
        503,
        "Overloaded",
        "Too many requests wait already. Try again with the same Idempotency-Key.",
    ),
    "stuck": (
        503,
        "Stuck",
        "All request threads are busy, and none has finished for 45 seconds.",
    ),
    "not_ready": (503, "Not ready", "This process cannot accept payments now."),
}
