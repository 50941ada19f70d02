"""The search of transactions, which shows movements some hours later.

Shapes follow https://developer.paypal.com/docs/api/transaction-search/v1/.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from simulators.calls import Answer, Call, Json
from simulators.clock import rfc3339
from simulators.paypal.errors import bad_field
from simulators.paypal.money import Money
from simulators.paypal.objects import Authorization, Capture, Refund
from simulators.paypal.store import Store, answer

#: Longest period of one call, in seconds: 31 days.
MAX_RANGE: Final = 31 * 86400.0
#: Transactions that all pages of one call may have together.
MAX_ITEMS: Final = 10_000
#: Transactions on one page.
DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 500
#: The letter of each status. A refund does not change its capture's status.
STATUSES: Final = {"PENDING": "P", "DECLINED": "D", "DENIED": "D", "FAILED": "D"}
#: Codes of the events: a checkout payment, its refund by the merchant, a reversal
#: by PayPal, an authorization.
RECEIVED: Final = "T0006"
REFUNDED: Final = "T1107"
REVERSED: Final = "T1106"
AUTHORIZED: Final = "T1300"


class Reporting:
    """Lists the movements of an account's balance."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Seconds until a transaction appears; at PayPal up to three hours.
        self.lag = 0.0

    def transactions(self, call: Call) -> Answer:
        """``GET /v1/reporting/transactions``."""
        start, end = _time(call, "start_date"), _time(call, "end_date")
        if not 0 <= end - start <= MAX_RANGE:
            raise bad_field("INVALID_PARAMETER_VALUE", "/end_date")
        size = _number(call, "page_size", DEFAULT_PAGE, MAX_PAGE)
        page = _number(call, "page", 1, MAX_ITEMS)
        newest = min(end, self._store.now() - self.lag)
        found = sorted(
            (
                (at, info)
                for at, info in self._all(call.account)
                if start <= int(at) <= newest
            ),
            key=lambda row: row[0],
        )
        if len(found) > MAX_ITEMS:
            raise bad_field("RESULTSET_TOO_LARGE", "/end_date")
        shown = found[(page - 1) * size : page * size]
        return answer(
            {
                "transaction_details": [
                    {"transaction_info": info} for _, info in shown
                ],
                "account_number": "SJMLTRMRCHNTA",
                "start_date": rfc3339(start),
                "end_date": rfc3339(end),
                "last_refreshed_datetime": rfc3339(self._store.now() - self.lag),
                "page": page,
                "total_items": len(found),
                "total_pages": -(-len(found) // size),
                "links": [],
            }
        )

    def _all(self, account: str) -> Iterator[tuple[float, Json]]:
        store = self._store
        for capture in store.captures.values():
            if capture.order.account == account:
                yield capture.created, _received(capture)
        for refund in store.refunds.values():
            if refund.capture.order.account == account:
                yield refund.created, _refunded(refund)
        for authorization in store.authorizations.values():
            if authorization.order.account == account:
                yield authorization.created, _authorized(authorization)


def _received(capture: Capture) -> Json:
    shown = _shown(RECEIVED, capture, capture.money.shown())
    if STATUSES.get(capture.status) is None:
        shown["fee_amount"] = _negative(capture.money.fee)
    return shown | _references(capture.custom_id, capture.invoice_id)


def _refunded(refund: Refund) -> Json:
    code = REVERSED if refund.reversal else REFUNDED
    shown = _shown(code, refund, _negative(refund.money))
    shown["paypal_reference_id"] = refund.capture.id
    shown["paypal_reference_id_type"] = "TXN"
    return shown | _references(refund.custom_id, refund.invoice_id)


def _authorized(authorization: Authorization) -> Json:
    unit = authorization.unit
    shown = _shown(AUTHORIZED, authorization, authorization.money.shown())
    return shown | _references(unit.custom_id, unit.invoice_id)


def _shown(code: str, one: Capture | Refund | Authorization, amount: Json) -> Json:
    return {
        "transaction_id": one.id,
        "transaction_event_code": code,
        "transaction_initiation_date": _basic(one.created),
        "transaction_updated_date": _basic(max(one.created, one.updated)),
        "transaction_amount": amount,
        "transaction_status": STATUSES.get(one.status, "S"),
    }


def _references(custom_id: str | None, invoice_id: str | None) -> Json:
    named = {"custom_field": custom_id, "invoice_id": invoice_id}
    return {name: value for name, value in named.items() if value is not None}


def _negative(money: Money) -> Json:
    shown = money.shown()
    return {**shown, "value": f"-{shown['value']}"}


def _basic(at: float) -> str:
    """This API writes its offset without a colon."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _time(call: Call, name: str) -> float:
    text = call.query.get(name)
    if text is None:
        raise bad_field("MISSING_REQUIRED_PARAMETER", f"/{name}")
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("no offset")
    except ValueError:
        raise bad_field("INVALID_PARAMETER_SYNTAX", f"/{name}") from None
    return at.timestamp()


def _number(call: Call, name: str, default: int, most: int) -> int:
    text = str(call.query.get(name, default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise bad_field("INVALID_PARAMETER_VALUE", f"/{name}", text[:20])
    return int(text)
