"""PayPal's error shape, its issues and their descriptions.

Names, messages and issues follow PayPal's OpenAPI files of Orders v2 and Payments v2.
"""

from __future__ import annotations

from typing import Final

from simulators.calls import Answer, Json, Refused, new_id, to_json

#: The name and message of each status.
ERRORS: Final = {
    400: (
        "INVALID_REQUEST",
        "Request is not well-formed, syntactically incorrect, or violates schema.",
    ),
    401: (
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing authorization header, or invalid "
        "authentication credentials.",
    ),
    403: (
        "NOT_AUTHORIZED",
        "Authorization failed due to insufficient permissions.",
    ),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    409: (
        "RESOURCE_CONFLICT",
        "The server has detected a conflict while processing this request.",
    ),
    413: ("PAYLOAD_TOO_LARGE", "The request body is too large."),
    422: (
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or "
        "failed business validation.",
    ),
    429: ("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limiting."),
    500: ("INTERNAL_SERVER_ERROR", "An internal server error occurred."),
}

#: What each issue says. PayPal lets descriptions change; these are in our own words
#: where its files do not fix them to one text.
ISSUES: Final = {
    "ACTION_DOES_NOT_MATCH_INTENT": "The order was created with another intent.",
    "AUTHORIZATION_ALREADY_CAPTURED": "Authorization has previously been captured.",
    "AUTHORIZATION_DENIED": "An denied authorization cannot be captured.",
    "AUTHORIZATION_EXPIRED": "An expired authorization cannot be captured.",
    "AUTHORIZATION_VOIDED": "A voided authorization cannot be captured or "
    "reauthorized. ",
    "AUTH_CAPTURE_CURRENCY_MISMATCH": "Currency of capture must be the same as "
    "currency of authorization.",
    "AUTH_CURRENCY_MISMATCH": "The currency differs from that of the authorization.",
    "CANNOT_BE_ZERO_OR_NEGATIVE": "Must be greater than zero. If the currency "
    "supports decimals, only two decimal place precision is supported.",
    "CAPTURE_FULLY_REFUNDED": "The capture has already been fully refunded",
    "COMPLIANCE_VIOLATION": "Transaction is declined due to compliance violation.",
    "DECIMALS_NOT_SUPPORTED": "Currency does not support decimals. Please refer to "
    "https://developer.paypal.com/docs/api/reference/currency-codes/ for more "
    "information.",
    "DECIMAL_PRECISION": "If the currency supports decimals, only two decimal place "
    "precision is supported.",
    "DUPLICATE_INVOICE_ID": "Duplicate Invoice ID detected. To avoid a potential "
    "duplicate transaction your account setting requires that Invoice Id be unique "
    "for each transaction.",
    "DUPLICATE_REQUEST_ID": "The value of the PayPal-Request-Id header has already "
    "been used with another request.",
    "INSTRUMENT_DECLINED": "The instrument presented  was either declined by the "
    "processor or bank, or it can't be used for this payment.",
    "INVALID_ARRAY_MAX_ITEMS": "The number of items in an array parameter is too "
    "large.",
    "INVALID_ARRAY_MIN_ITEMS": "The number of items in an array parameter is too "
    "small.",
    "INVALID_CURRENCY_CODE": "Currency code is invalid or is not currently supported.",
    "INVALID_PARAMETER_SYNTAX": "The value of a field does not conform to the "
    "expected format.",
    "INVALID_PARAMETER_VALUE": "A parameter value is not valid.",
    "INVALID_PATCH_OPERATION": "The patch operation is not supported.",
    "INVALID_RESOURCE_ID": "Specified resource ID does not exist. Please check the "
    "resource ID and try again.",
    "INVALID_STRING_LENGTH": "The value of a field is either too short or too long",
    "MALFORMED_REQUEST_JSON": "The request JSON is not well formed.",
    "MAX_CAPTURE_AMOUNT_EXCEEDED": "The sum of all captures exceeds 115% of the "
    "authorized amount.",
    "MISSING_REQUIRED_PARAMETER": "A required parameter is missing.",
    "MULTI_CURRENCY_ORDER": "Multiple differing values of currency_code are not "
    "supported. Entire Order request must have the same currency_code.",
    "NOT_ENABLED_FOR_CARD_PROCESSING": "Card numbers are not taken; use a vaulted "
    "card.",
    "NOT_PATCHABLE": "The field cannot be patched.",
    "ORDER_ALREADY_AUTHORIZED": "Order already authorized.If 'intent=AUTHORIZE' only "
    "one authorization per order is allowed.",
    "ORDER_ALREADY_CAPTURED": "Order already captured.If 'intent=CAPTURE' only one "
    "capture per order is allowed.",
    "ORDER_ALREADY_COMPLETED": "The order cannot be patched after it is completed.",
    "ORDER_EXPIRED": "Order is expired and cannot be carried out.",
    "ORDER_NOT_APPROVED": "Payer has not yet approved the Order for payment. Please "
    "redirect the payer to the 'rel':'approve' url returned as part of the HATEOAS "
    "links within the Create Order call or provide a valid `payment_source` in the "
    "request.",
    "PAYEE_ACCOUNT_RESTRICTED": "The merchant account is restricted.",
    "PAYER_ACTION_REQUIRED": "Transaction cannot complete successfully, instruct the "
    "buyer to return to PayPal.",
    "PAYER_CANNOT_PAY": "Combination of payer and payee settings mean that this "
    "buyer cannot pay this seller.",
    "PAYPAL_REQUEST_ID_REQUIRED": "A PayPal-Request-Id is required if you are trying "
    "to process payment for an Order. Please specify a PayPal-Request-Id or Create "
    "the Order without a 'payment_source' specified.",
    "PENDING_CAPTURE": "Cannot initiate a refund as the capture is pending.",
    "PREVIOUSLY_CAPTURED": "Authorization has been previously captured and hence "
    "cannot be voided.",
    "PREVIOUSLY_VOIDED": "Authorization has been previously voided and hence cannot "
    "be voided again.",
    "PREVIOUS_REQUEST_IN_PROGRESS": "A previous request on this resource is currently "
    "in progress. Please wait for sometime and try again. It is best to space out the "
    "initial and the subsequent request(s) to avoid receiving this error.",
    "REAUTHORIZATION_NOT_SUPPORTED": "This authorization cannot be reauthorized now.",
    "REFUND_AMOUNT_EXCEEDED": "The refund amount must be less than or equal to the "
    "capture amount that has not yet been refunded.",
    "REFUND_CAPTURE_CURRENCY_MISMATCH": "Refund must be in the same currency as the "
    "capture",
    "REFUND_FAILED_INSUFFICIENT_FUNDS": "Capture could not be refunded due to "
    "insufficient funds.",
    "REFUND_NOT_ALLOWED": "Capture cannot be refunded.",
    "REFUND_TIME_LIMIT_EXCEEDED": "You are over the time limit to perform a refund on "
    "this capture",
    "TOKEN_ID_NOT_FOUND": "Specified token was not found. Verify the token and try "
    "the request again.",
    "TRANSACTION_REFUSED": "The request was refused.",
    "UNSUPPORTED_INTENT": "`intent=AUTHORIZE` is not supported for multiple purchase "
    "units. Only `intent=CAPTURE` is supported.",
}


def error(
    status: int,
    issue: str | None = None,
    *,
    field: str | None = None,
    value: str | None = None,
    links: list[Json] | None = None,
    stored: bool = False,
) -> Answer:
    """Return PayPal's error shape with at most one issue.

    ``field`` is a JSON pointer; ``value`` is what was sent there.
    """
    name, message = ERRORS[status]
    debug_id = new_debug_id()
    link = {
        "href": f"https://developer.paypal.com/api/orders/v2/#error-{issue or name}",
        "rel": "information_link",
        "method": "GET",
    }
    body: Json = {"name": name, "message": message, "debug_id": debug_id}
    if issue is not None:
        detail: Json = {"issue": issue, "description": ISSUES[issue]}
        if field is not None:
            detail["field"] = field
            detail["location"] = "body"
        if value is not None:
            detail["value"] = value
        body["details"] = [detail]
    body["links"] = [link, *(links or [])]
    return Answer(status, to_json(body), {"PayPal-Debug-Id": debug_id}, stored=stored)


def new_debug_id() -> str:
    """Return an identifier as PayPal puts on every answer."""
    return new_id("f", 12, b"0123456789abcdef")


def bad_field(issue: str, field: str, value: str | None = None) -> Refused:
    """Return the 400 refusal of one field."""
    return Refused(error(400, issue, field=field, value=value))


def unprocessable(
    issue: str, field: str | None = None, value: str | None = None
) -> Refused:
    """Return the 422 refusal of a well-formed request."""
    return Refused(error(422, issue, field=field, value=value))


def not_found() -> Refused:
    """Return the 404 refusal of an id that names nothing."""
    return Refused(error(404, "INVALID_RESOURCE_ID"))
