"""Stripe's JSON of its objects.

Fields follow the example objects of Stripe's OpenAPI repository.
"""

from __future__ import annotations

from simulators.calls import Json
from simulators.stripe.customer_shapes import billing_details
from simulators.stripe.objects import BalanceTransaction, Charge, Intent, Refund


def show_intent(intent: Intent) -> Json:
    """Return the ``payment_intent`` object."""
    slow = intent.charge is not None and intent.charge.method.slow
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.amount_received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": intent.automatic,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": f"{intent.id}_secret_{intent.secret}",
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "customer_account": None,
        "description": intent.description,
        "excluded_payment_method_types": None,
        "last_payment_error": intent.last_error,
        "latest_charge": intent.charge.id if intent.charge is not None else None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": intent.metadata,
        "next_action": intent.next_action,
        "on_behalf_of": None,
        "payment_method": intent.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": _options(intent),
        "payment_method_types": intent.method_types,
        "processing": (
            {"type": "us_bank_account"}
            if slow and intent.status == "processing"
            else None
        ),
        "receipt_email": intent.receipt_email,
        "review": None,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": intent.shipping,
        "source": None,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status,
        "transfer_data": None,
        "transfer_group": intent.transfer_group,
    }


def show_charge(charge: Charge) -> Json:
    """Return the ``charge`` object."""
    intent, decline = charge.intent, charge.decline
    return {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "amount_refunded": charge.amount_refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": charge.balance_transaction,
        "billing_details": billing_details(),
        "calculated_statement_descriptor": "SIMULATOR",
        "captured": charge.captured,
        "created": charge.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "disputed": charge.dispute is not None,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline is not None else None,
        "failure_message": decline.message if decline is not None else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent.metadata,
        "on_behalf_of": None,
        "outcome": _outcome(charge),
        "paid": charge.status == "succeeded",
        "payment_intent": intent.id,
        "payment_method": charge.method_id,
        "payment_method_details": _method_details(charge),
        "receipt_email": intent.receipt_email,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": 0 < charge.amount_captured <= charge.amount_refunded,
        "review": None,
        "shipping": intent.shipping,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": charge.status,
        "transfer_data": None,
        "transfer_group": intent.transfer_group,
    }


def show_refund(refund: Refund) -> Json:
    """Return the ``refund`` object."""
    charge = refund.charge
    shown: Json = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.balance_transaction,
        "charge": charge.id,
        "created": refund.created,
        "currency": charge.intent.currency,
        "customer": charge.intent.customer,
        "customer_account": None,
        "destination_details": {
            charge.method.type: {"type": "refund"},
            "type": charge.method.type,
        },
        "metadata": refund.metadata,
        "payment_intent": charge.intent.id,
        "payment_method": charge.method_id,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }
    if refund.status == "failed":
        shown["failure_reason"] = refund.failure_reason
        shown["failure_balance_transaction"] = refund.failure_balance_transaction
    if refund.status == "pending":
        shown["pending_reason"] = "processing"
    return shown


def show_balance_transaction(line: BalanceTransaction) -> Json:
    """Return the ``balance_transaction`` object."""
    details = [
        {
            "amount": line.fee,
            "application": None,
            "currency": line.currency,
            "description": line.fee_description,
            "type": "stripe_fee",
        }
    ]
    return {
        "id": line.id,
        "object": "balance_transaction",
        "amount": line.amount,
        "available_on": line.created + 2 * 86400,
        "balance_type": "payments",
        "created": line.created,
        "currency": line.currency,
        "description": line.description,
        "exchange_rate": None,
        "fee": line.fee,
        "fee_details": details if line.fee else [],
        "net": line.amount - line.fee,
        "reporting_category": line.category,
        "source": line.source,
        "status": "pending",
        "type": line.type,
    }


def _options(intent: Intent) -> Json:
    if not intent.multicapture:
        return {}
    return {"card": {"request_multicapture": "if_available"}}


def _outcome(charge: Charge) -> Json | None:
    decline = charge.decline
    if charge.status == "pending":
        return None
    return {
        "advice_code": decline.advice_code if decline is not None else None,
        "network_advice_code": None,
        "network_decline_code": "05" if decline is not None else None,
        "network_status": (
            "approved_by_network" if decline is None else "declined_by_network"
        ),
        "reason": decline.decline_code if decline is not None else None,
        "risk_level": "normal",
        "seller_message": (
            "Payment complete."
            if decline is None
            else "The bank did not return any further details with this decline."
        ),
        "type": "authorized" if decline is None else "issuer_declined",
    }


def _method_details(charge: Charge) -> Json:
    method = charge.method
    if method.voucher:
        return {method.type: {"number": None}, "type": method.type}
    if method.type != "card":
        return {
            method.type: {"last4": method.last4, "bank_name": "STRIPE TEST BANK"},
            "type": method.type,
        }
    card: Json = {
        "amount_authorized": charge.amount,
        "authorization_code": None,
        "brand": method.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": None,
        },
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": "simulatorfinger",
        "funding": method.funding,
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": method.last4,
        "mandate": None,
        "multicapture": {
            "status": "unavailable" if charge.parts is None else "available"
        },
        "network": method.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {
            "maximum_amount_capturable": charge.amount,
            "status": "unavailable",
        },
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }
    if charge.capture_before is not None:
        card["capture_before"] = charge.capture_before
    return {"card": card, "type": "card"}
