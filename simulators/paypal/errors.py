"""PayPal's error shape, its issues and their descriptions.

Names, issues and the one message of each status, on which clients may depend, are those
of PayPal's OpenAPI files of Orders v2 and Payments v2.
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

#: The text of each issue, in our words: PayPal's descriptions may change.
ISSUES: Final = {
    "ACTION_DOES_NOT_MATCH_INTENT": "The order was created with the other intent.",
    "AUTHORIZATION_ALREADY_CAPTURED": "The authorization has no money left.",
    "AUTHORIZATION_DENIED": "The authorization was denied.",
    "AUTHORIZATION_EXPIRED": "The authorization is too old to be captured.",
    "AUTHORIZATION_VOIDED": "The authorization was voided.",
    "AUTH_CAPTURE_CURRENCY_MISMATCH": "The authorization has another currency.",
    "AUTH_CURRENCY_MISMATCH": "The first authorization has another currency.",
    "CANCEL_URL_REQUIRED": "Saving a wallet needs a cancel_url.",
    "CANNOT_BE_ZERO_OR_NEGATIVE": "The amount must be above zero.",
    "CAPTURE_FULLY_REFUNDED": "The capture has no money left to refund.",
    "COMPLIANCE_VIOLATION": "Compliance rules forbid the payment.",
    "DECIMALS_NOT_SUPPORTED": "Amounts in this currency have no decimals.",
    "DECIMAL_PRECISION": "Amounts have at most two decimals.",
    "DUPLICATE_INVOICE_ID": "Another payment has this invoice id.",
    "DUPLICATE_REQUEST_ID": "Another request used this PayPal-Request-Id.",
    "INSTRUMENT_DECLINED": "The processor or bank declined the instrument.",
    "INVALID_ARRAY_MAX_ITEMS": "The array has too many items.",
    "INVALID_ARRAY_MIN_ITEMS": "The array has too few items.",
    "INVALID_CURRENCY_CODE": "The currency is unknown or not taken.",
    "INVALID_PARAMETER_SYNTAX": "The value has the wrong form.",
    "INVALID_PARAMETER_VALUE": "The value is not one of those allowed.",
    "INVALID_PATCH_OPERATION": "The patch operation is not possible.",
    "INVALID_RESOURCE_ID": "The resource does not exist.",
    "INVALID_STRING_LENGTH": "The text is too short or too long.",
    "MALFORMED_REQUEST_JSON": "The body is not a JSON object.",
    "MAX_CAPTURE_AMOUNT_EXCEEDED": "Captures may reach 115% of the authorization.",
    "MAX_VALUE_EXCEEDED": "The amount is above 999999999999999.99.",
    "MISSING_REQUIRED_PARAMETER": "The field is required.",
    "MULTI_CURRENCY_ORDER": "All amounts of an order have one currency.",
    "NOT_ENABLED_FOR_CARD_PROCESSING": "Card numbers are not taken here.",
    "NOT_PATCHABLE": "The field cannot be patched.",
    "ORDER_ALREADY_AUTHORIZED": "The order was authorized before.",
    "ORDER_ALREADY_CAPTURED": "The order was captured before.",
    "ORDER_ALREADY_COMPLETED": "The order is completed and cannot change.",
    "ORDER_EXPIRED": "The order is too old to be carried out.",
    "ORDER_NOT_APPROVED": "The payer has not approved the order yet.",
    "PAYEE_ACCOUNT_RESTRICTED": "The merchant's account is restricted.",
    "PAYER_ACTION_REQUIRED": "The payer must act at PayPal first.",
    "PAYER_CANNOT_PAY": "This payer cannot pay this merchant.",
    "PAYPAL_REQUEST_ID_REQUIRED": "A payment needs a PayPal-Request-Id.",
    "PENDING_CAPTURE": "The capture is pending and cannot be refunded yet.",
    "PREVIOUSLY_CAPTURED": "The authorization was captured and cannot be voided.",
    "PREVIOUSLY_VOIDED": "The authorization was voided before.",
    "PREVIOUS_REQUEST_IN_PROGRESS": "An earlier request still runs; try later.",
    "REAUTHORIZATION_NOT_SUPPORTED": "This authorization cannot be renewed now.",
    "RESULTSET_TOO_LARGE": "The search finds more than 10,000 transactions.",
    "REFUND_AMOUNT_EXCEEDED": "The refund exceeds the remaining amount.",
    "REFUND_CAPTURE_CURRENCY_MISMATCH": "The capture has another currency.",
    "REFUND_FAILED_INSUFFICIENT_FUNDS": "The merchant's balance is too low.",
    "REFUND_NOT_ALLOWED": "The capture cannot be refunded.",
    "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK": "The payer disputes the capture.",
    "REFUND_TIME_LIMIT_EXCEEDED": "The capture is too old to be refunded.",
    "RETURN_URL_REQUIRED": "Saving a wallet needs a return_url.",
    "TOKEN_ID_NOT_FOUND": "The token does not exist.",
    "TRANSACTION_REFUSED": "The payment was refused.",
    "UNSUPPORTED_INTENT": "Only one purchase unit can be authorized.",
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

    ``field`` is a JSON pointer; ``value`` is the value sent there.
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
    """Return an identifier of an answer, in PayPal's form."""
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
    """Return the 404 refusal of an unknown id."""
    return Refused(error(404, "INVALID_RESOURCE_ID"))
