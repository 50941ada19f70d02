"""PayPal's JSON of its objects.

Shapes follow PayPal's OpenAPI files of Orders v2 and Payments v2.
"""

from __future__ import annotations

from typing import Final

from simulators.calls import Json
from simulators.clock import rfc3339
from simulators.paypal.money import Money
from simulators.paypal.objects import (
    Authorization,
    Capture,
    Order,
    PaymentToken,
    Refund,
    Unit,
)

#: Path of the Payments API.
PAYMENTS: Final = "/v2/payments"


def show_order(order: Order, full: bool) -> Json:
    """Return the order: all of it, or PayPal's minimal view.

    The minimal view has the identifier, status, source, links and the payments,
    if there are any.
    """
    shown: Json = {"id": order.id}
    if full:
        shown["intent"] = order.intent
    shown["status"] = order.status
    if order.source is not None:
        shown["payment_source"] = {order.source: _source(order)}
    if full or any(unit.captures or unit.authorizations for unit in order.units):
        shown["purchase_units"] = [_unit(order, unit, full) for unit in order.units]
    if full:
        shown |= _times(order.created, order.updated)
    shown["links"] = order_links(order)
    return shown


def order_links(order: Order) -> list[Json]:
    """Return the links to the order's possible operations."""
    url = f"{order.base}/v2/checkout/orders/{order.id}"
    links = [_link(url, "self", "GET")]
    if order.status in ("CREATED", "PAYER_ACTION_REQUIRED"):
        links.append(payer_link(order))
    if order.status in ("CREATED", "APPROVED"):
        links.append(_link(url, "update", "PATCH"))
        action = order.intent.lower()
        links.append(_link(f"{url}/{action}", action, "POST"))
    return links


def payer_link(order: Order) -> Json:
    """Return the address of the payer's approval."""
    rel = "approve" if order.source is None else "payer-action"
    return _link(f"{order.base}/checkoutnow?token={order.id}", rel, "GET")


def show_authorization(authorization: Authorization, full: bool = True) -> Json:
    """Return the authorization, or its minimal view: id, status, links."""
    shown: Json = {"status": authorization.status, "id": authorization.id}
    if authorization.status == "PENDING":
        shown["status_details"] = {"reason": "PENDING_REVIEW"}
    if full:
        unit = authorization.unit
        shown["amount"] = authorization.money.shown()
        shown |= _references(unit.custom_id, unit.invoice_id)
        shown["seller_protection"] = _protection()
        shown["expiration_time"] = rfc3339(authorization.expires)
        shown |= _times(authorization.created, authorization.updated)
    base = authorization.order.base
    url = f"{base}{PAYMENTS}/authorizations/{authorization.id}"
    shown["links"] = [
        _link(url, "self", "GET"),
        _link(f"{url}/capture", "capture", "POST"),
        _link(f"{url}/void", "void", "POST"),
        _link(f"{url}/reauthorize", "reauthorize", "POST"),
        _up(authorization.order),
    ]
    return shown


def show_capture(capture: Capture, full: bool = True) -> Json:
    """Return the capture, or its minimal view: id, status, links."""
    shown: Json = {"id": capture.id, "status": capture.status}
    if capture.status == "PENDING":
        shown["status_details"] = {"reason": "PENDING_REVIEW"}
    if full:
        shown["amount"] = capture.money.shown()
        shown["final_capture"] = capture.final
        shown["seller_protection"] = _protection()
        if capture.status not in ("PENDING", "DECLINED"):
            fee = capture.money.fee
            shown["seller_receivable_breakdown"] = {
                "gross_amount": capture.money.shown(),
                "paypal_fee": fee.shown(),
                "net_amount": capture.money.less(fee).shown(),
            }
        shown |= _references(capture.custom_id, capture.invoice_id)
        shown |= _times(capture.created, capture.updated)
    url = f"{capture.order.base}{PAYMENTS}/captures/{capture.id}"
    authorization = capture.authorization
    if authorization is None:
        up = _up(capture.order)
    else:
        path = f"{PAYMENTS}/authorizations/{authorization.id}"
        up = _link(f"{capture.order.base}{path}", "up", "GET")
    shown["links"] = [
        _link(url, "self", "GET"),
        _link(f"{url}/refund", "refund", "POST"),
        up,
    ]
    return shown


def show_refund(refund: Refund, full: bool = True) -> Json:
    """Return the refund, or its minimal view: id, status, links."""
    shown: Json = {"id": refund.id, "status": refund.status}
    if refund.status in ("PENDING", "FAILED"):
        shown["status_details"] = {"reason": "ECHECK"}
    capture = refund.capture
    if full:
        zero = Money(0, refund.money.currency)
        total = Money(capture.refunded, refund.money.currency)
        shown["amount"] = refund.money.shown()
        shown |= _references(refund.custom_id, refund.invoice_id)
        if refund.note is not None:
            shown["note_to_payer"] = refund.note
        shown["seller_payable_breakdown"] = {
            "gross_amount": refund.money.shown(),
            "paypal_fee": zero.shown(),
            "net_amount": refund.money.shown(),
            "total_refunded_amount": total.shown(),
        }
        shown |= _times(refund.created, refund.updated)
    base = capture.order.base
    shown["links"] = [
        _link(f"{base}{PAYMENTS}/refunds/{refund.id}", "self", "GET"),
        _link(f"{base}{PAYMENTS}/captures/{capture.id}", "up", "GET"),
    ]
    return shown


def authorization_in_full(authorization: Authorization) -> Json:
    """Return the view of reads and events, with related objects and the payee."""
    related = {"order_id": authorization.order.id}
    return {**show_authorization(authorization), **_context(related)}


def capture_in_full(capture: Capture) -> Json:
    """Return the view of reads and events, with related objects and the payee."""
    related = {"order_id": capture.order.id}
    if capture.authorization is not None:
        related["authorization_id"] = capture.authorization.id
    return {**show_capture(capture), **_context(related)}


def _context(related: Json) -> Json:
    payee = {"email_address": "merchant@example.com", "merchant_id": "SJMLTRMRCHNTA"}
    return {"supplementary_data": {"related_ids": related}, "payee": payee}


def show_reversed_approval(order: Order) -> Json:
    """Return the event's resource for an approved order that was not carried out.

    Source: https://developer.paypal.com/payment-methods/uncaptured-payments
    """
    units = [
        {
            "reference_id": unit.reference_id,
            **_references(unit.custom_id, unit.invoice_id),
        }
        for unit in order.units
    ]
    shown: Json = {"order_id": order.id, "purchase_units": units}
    if order.source is not None:
        shown["payment_source"] = {order.source: _source(order)}
    return shown


def payment_token_links(token: PaymentToken) -> list[Json]:
    """Return the links to a saved wallet's operations."""
    url = f"{token.base}/v3/vault/payment-tokens/{token.id}"
    return [_link(url, "self", "GET"), _link(url, "delete", "DELETE")]


def _unit(order: Order, unit: Unit, full: bool) -> Json:
    shown: Json = {"reference_id": unit.reference_id}
    if full:
        shown["amount"] = unit.money.shown()
        if unit.breakdown is not None:
            shown["amount"]["breakdown"] = unit.breakdown
        shown |= _references(unit.custom_id, unit.invoice_id)
        if unit.description is not None:
            shown["description"] = unit.description
        if unit.soft_descriptor is not None:
            shown["soft_descriptor"] = unit.soft_descriptor
    payments: Json = {}
    if unit.authorizations:
        payments["authorizations"] = [
            show_authorization(each) for each in unit.authorizations
        ]
    if unit.captures:
        payments["captures"] = [show_capture(each) for each in unit.captures]
        refunds = [show_refund(r) for each in unit.captures for r in each.refunds]
        if refunds:
            payments["refunds"] = refunds
    if payments:
        shown["payments"] = payments
    return shown


def _source(order: Order) -> Json:
    if order.outcome is None:
        return {}
    if order.source == "card":
        return {"last_digits": "1111", "brand": "VISA", "type": "CREDIT"}
    shown: Json = {
        "email_address": "payer@example.com",
        "account_id": "QYR5Z8XDVJNXQ",
        "account_status": "VERIFIED",
        "name": {"given_name": "Ada", "surname": "Payer"},
    }
    if order.token is not None:
        vault = {
            "id": order.token.id,
            "status": "VAULTED",
            "customer": {"id": order.token.customer},
            "links": [*payment_token_links(order.token), _up(order)],
        }
        shown["attributes"] = {"vault": vault}
    elif order.keep and order.keep_after and order.status == "COMPLETED":
        vault = {"status": "APPROVED", "links": [_up(order)]}
        shown["attributes"] = {"vault": vault}
    return shown


def _references(custom_id: str | None, invoice_id: str | None) -> Json:
    shown = {}
    if custom_id is not None:
        shown["custom_id"] = custom_id
    if invoice_id is not None:
        shown["invoice_id"] = invoice_id
    return shown


def _protection() -> Json:
    categories = ["ITEM_NOT_RECEIVED", "UNAUTHORIZED_TRANSACTION"]
    return {"status": "ELIGIBLE", "dispute_categories": categories}


def _times(created: float, updated: float) -> Json:
    return {
        "create_time": rfc3339(created),
        "update_time": rfc3339(max(created, updated)),
    }


def _up(order: Order) -> Json:
    return _link(f"{order.base}/v2/checkout/orders/{order.id}", "up", "GET")


def _link(href: str, rel: str, method: str) -> Json:
    return {"href": href, "rel": rel, "method": method}
