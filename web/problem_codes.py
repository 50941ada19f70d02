"""The codes of the API's problems and of the errors in a request's fields."""

from __future__ import annotations

from enum import StrEnum


class ProblemCode(StrEnum):
    """The ``code`` of a problem; ``problem_catalogue`` has the texts."""

    BAD_REQUEST = "bad_request"
    MALFORMED_JSON = "malformed_json"
    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required"
    IDEMPOTENCY_KEY_MALFORMED = "idempotency_key_malformed"
    API_KEY_REQUIRED = "api_key_required"
    API_KEY_INVALID = "api_key_invalid"
    WEBHOOK_REFUSED = "webhook_refused"
    WEBHOOK_NOT_TRUSTED = "webhook_not_trusted"
    CERTIFICATE_UNAVAILABLE = "certificate_unavailable"
    ROLE_NOT_ALLOWED = "role_not_allowed"
    MODE_NOT_SERVED = "mode_not_served"
    NOT_FOUND = "not_found"
    PAYMENT_NOT_FOUND = "payment_not_found"
    ACCOUNT_NOT_FOUND = "account_not_found"
    BREAKER_NOT_FOUND = "breaker_not_found"
    REPLAY_NOT_FOUND = "replay_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    BODY_TOO_LARGE = "body_too_large"
    HEAD_TOO_LARGE = "head_too_large"
    CONTENT_TYPE_NOT_SUPPORTED = "content_type_not_supported"
    INVALID_PAYMENT = "invalid_payment"
    INVALID_REQUEST = "invalid_request"
    INVALID_QUERY = "invalid_query"
    CARD_NUMBER_REFUSED = "card_number_refused"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    CONFLICT = "conflict"
    REFERENCE_IN_PROGRESS = "reference_in_progress"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL_ERROR = "internal_error"
    WRITE_REFUSED = "write_refused"
    DOCUMENT_UNREADABLE = "document_unreadable"
    STORE_UNAVAILABLE = "store_unavailable"
    OVERLOADED = "overloaded"
    STUCK = "stuck"
    NOT_READY = "not_ready"


class FieldErrorCode(StrEnum):
    """The ``code`` of one invalid field. Any other code is pydantic's error type."""

    ADDITIONAL = "additional"  #: not a field of this request
    CARD_NUMBER_REFUSED = "card_number_refused"
    FLAG = "flag"  #: neither true nor false
    FORM = "form"  #: does not match the pattern
    NOT_POSSIBLE = "not_possible"  #: contradicts another field or a provider's rule
    REPEATED = "repeated"
    REQUIRED = "required"
    TOO_LONG = "too_long"
    WHOLE_NUMBER = "whole_number"  #: not a whole number
