"""PaymentIntents: create, confirm, authenticate, capture, cancel."""

from __future__ import annotations

from typing import Final

from simulators.calls import Answer, Call, Json, Refused, new_id
from simulators.stripe.cards import AUTHENTICATION_REQUIRED, Decline
from simulators.stripe.charging import Charging, charge_of, check_parts
from simulators.stripe.customers import check_usable
from simulators.stripe.errors import answer, error, invalid
from simulators.stripe.objects import Intent, PaymentMethod
from simulators.stripe.params import (
    CAPTURE,
    CONFIRM,
    CREATE,
    IntentParams,
    amount_of,
    check_known,
    check_step,
    flag,
    metadata_of,
    read_intent,
)
from simulators.stripe.shapes import show_intent
from simulators.stripe.store import Store

#: Intents kept, as many as the ledger has rows; no more are made.
MAX_INTENTS: Final = 1_000_000
#: Reasons a caller may give for a cancellation.
CANCELLATIONS: Final = (
    "duplicate",
    "fraudulent",
    "requested_by_customer",
    "abandoned",
)
CONFIRMABLE: Final = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
)
#: Seconds that a voucher can be paid for, as long as Stripe's default for OXXO.
VOUCHER_SECONDS: Final = 3 * 86_400
VOUCHER_NUMBER: Final = "12345678901234657890123456789012"
CANCELABLE: Final = (*CONFIRMABLE, "requires_capture")


class Intents:
    """The state machine of a PaymentIntent."""

    def __init__(self, store: Store, charging: Charging) -> None:
        self._store = store
        self._charging = charging

    def create(self, call: Call) -> Answer:
        """``POST /v1/payment_intents``, confirmed at once on request."""
        params = read_intent(call.body, CREATE)
        store = self._store
        if len(store.intents) >= MAX_INTENTS:
            raise Refused(error(500, "The simulator is full.", type="api_error"))
        customer = params.fields["customer"]
        if customer is not None:
            store.customer(call.account, customer, "customer", 400)
        method = None
        if params.method:
            method = store.adopt_method(call.account, params.method)
            _check_type(method, params.types)
            check_usable(method, customer)
        if params.confirm:
            self._check_confirmable(method, params)
        intents = store.account(call.account).intents
        intent = Intent(
            id=new_id("pi_3", 23),
            account=call.account,
            position=len(intents),
            created=store.now(),
            secret=new_id("", 25),
            payment_method=method.id if method else None,
            status="requires_confirmation" if method else "requires_payment_method",
            method_types=params.types or ["card", "us_bank_account"],
            automatic=params.automatic,
            multicapture=params.multicapture,
            **params.fields,
        )
        intents.append(intent)
        store.intents[intent.id] = intent
        self._charging.send_intent_event(intent, "payment_intent.created", call)
        if not params.confirm:
            return answer(call, show_intent(intent))
        return self._confirm(intent, params, call)

    def confirm(self, call: Call) -> Answer:
        """``POST /v1/payment_intents/{id}/confirm``."""
        intent = self._store.intent(call.account, call.ids["id"])
        params = read_intent(call.body, CONFIRM)
        self._expect(intent, CONFIRMABLE, "confirm")
        method = self._store.methods.get(intent.payment_method or "")
        if params.method:
            method = self._store.adopt_method(call.account, params.method)
            _check_type(method, intent.method_types)
        if method is not None:
            check_usable(method, intent.customer)
        if intent.automatic is not None and params.automatic is None:
            params.automatic = intent.automatic
        params.return_url = params.return_url or intent.return_url
        self._check_confirmable(method, params)
        intent.payment_method = method.id if method else None
        intent.setup_future_usage = params.future or intent.setup_future_usage
        intent.multicapture = params.multicapture or intent.multicapture
        return self._confirm(intent, params, call)

    def authenticate(self, intent: Intent, succeeded: bool) -> None:
        """Pass or fail 3-D Secure. Raises ``Refused`` if none is required."""
        self._expect(intent, ("requires_action",), "authenticate")
        intent.next_action = None
        if succeeded:
            self._charging.ask_issuer(intent, None)
            return
        intent.status = "requires_payment_method"
        method_id, intent.payment_method = intent.payment_method, None
        kind = self._store.methods[method_id].kind if method_id else None
        code = "payment_intent_authentication_failure"
        message = "The provided PaymentMethod has failed authentication."
        if kind is not None and kind.voucher:
            code = "payment_intent_payment_attempt_expired"
            message = "The latest attempt of this PaymentIntent has expired."
        intent.last_error = {
            "code": code,
            "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
            "message": message,
            "payment_method": self._charging.method_object(method_id),
            "type": "invalid_request_error",
        }
        self._charging.send_intent_event(intent, "payment_intent.payment_failed", None)

    def capture(self, call: Call) -> Answer:
        """``POST /v1/payment_intents/{id}/capture``; releases the rest.

        With ``final_capture=false``, and a card that allows several captures, it stays
        on hold.
        """
        intent = self._store.intent(call.account, call.ids["id"])
        check_known(call.body, CAPTURE)
        final = flag(call.body, "final_capture", True)
        self._expect(intent, ("requires_capture",), "capture")
        amount = amount_of(call.body, "amount_to_capture", intent.amount_capturable)
        check_step(amount, intent.currency, "amount_to_capture")
        if amount > intent.amount_capturable:
            raise invalid(
                "The requested capture amount is greater than the amount you can "
                "capture for this charge.",
                "amount_to_capture",
                code="amount_too_large",
            )
        if not final:
            check_parts(charge_of(intent))
        intent.metadata = {**intent.metadata, **metadata_of(call.body)}
        self._charging.capture(intent, amount, final, call)
        return answer(call, show_intent(intent))

    def cancel(self, call: Call) -> Answer:
        """``POST /v1/payment_intents/{id}/cancel``; releases an authorization."""
        intent = self._store.intent(call.account, call.ids["id"])
        check_known(call.body, frozenset(("cancellation_reason", "expand")))
        reason = call.body.get("cancellation_reason")
        if reason is not None and reason not in CANCELLATIONS:
            raise invalid(
                f"Invalid cancellation_reason: must be one of "
                f"{', '.join(CANCELLATIONS)}",
                "cancellation_reason",
            )
        self._expect(intent, CANCELABLE, "cancel")
        if intent.status == "requires_capture":
            held = intent.amount_capturable
            self._store.move("void", intent, intent.id, held, call.key)
        self._charging.close(intent, reason, call)
        return answer(call, show_intent(intent))

    def _confirm(self, intent: Intent, params: IntentParams, call: Call) -> Answer:
        saved = self._store.methods[intent.payment_method or ""]
        method = saved.kind
        exempt = method.authenticate_once and saved.future == "off_session"
        authentication = method.authentication and not exempt
        intent.last_error = None
        intent.return_url = params.return_url or intent.return_url
        intent.key = call.key
        if authentication and params.off_session:
            return self._decline(intent, AUTHENTICATION_REQUIRED, call)
        if authentication or method.voucher:
            intent.status = "requires_action"
            intent.next_action = (
                _voucher(intent) if method.voucher else _next_action(intent, call.base)
            )
            self._charging.send_intent_event(
                intent, "payment_intent.requires_action", call
            )
            return answer(call, show_intent(intent))
        if method.slow:
            self._charging.start_debit(intent, call)
        elif method.decline is not None:
            return self._decline(intent, method.decline, call)
        else:
            self._charging.ask_issuer(intent, call)
        return answer(call, show_intent(intent))

    def _decline(self, intent: Intent, decline: Decline, call: Call) -> Answer:
        """Answer 402; the error carries the intent it belongs to."""
        details = self._charging.fail(intent, decline, call)
        shown = dict(details, payment_intent=show_intent(intent))
        return error(402, stored=True, **shown)

    def _expect(self, intent: Intent, allowed: tuple[str, ...], verb: str) -> None:
        if intent.status in allowed:
            return
        message = (
            f"You cannot {verb} this PaymentIntent because it has a status of "
            f"{intent.status}. Only a PaymentIntent with one of the following statuses "
            f"may be used to {verb}: {', '.join(allowed)}."
        )
        raise Refused(
            error(
                400,
                message,
                stored=True,
                code="payment_intent_unexpected_state",
                payment_intent=show_intent(intent),
            )
        )

    def _check_confirmable(
        self, method: PaymentMethod | None, params: IntentParams
    ) -> None:
        if method is None:
            raise invalid(
                "You cannot confirm this PaymentIntent because it's missing a payment "
                "method. Update it with a payment method and then confirm it again.",
                code="payment_intent_unexpected_state",
            )
        redirects = params.automatic is not None and (
            params.automatic.get("allow_redirects") != "never"
        )
        if redirects and not params.return_url and not params.off_session:
            raise invalid(
                "This PaymentIntent accepts the payment methods enabled in your "
                "Dashboard. Because some of them might redirect your customer away "
                "from your page, you must provide a `return_url`. To accept none "
                "that redirect, set `automatic_payment_methods[allow_redirects]` to "
                "`never`."
            )


def _check_type(method: PaymentMethod, types: list[str]) -> None:
    kind = method.kind.type
    if types and kind not in types:
        raise invalid(
            f"The PaymentMethod provided ({kind}) is not allowed for this "
            f"PaymentIntent. Its payment_method_types are {', '.join(types)}.",
            "payment_method",
            code="payment_intent_incompatible_payment_method",
        )


def _voucher(intent: Intent) -> Json:
    """Require payment by voucher; ``/_stripe/authorize`` reports its outcome."""
    page = f"https://payments.stripe.com/oxxo/voucher/{intent.id}"
    details = {
        "expires_after": int(intent.created) + VOUCHER_SECONDS,
        "hosted_voucher_url": page,
        "number": VOUCHER_NUMBER,
    }
    return {"type": "oxxo_display_details", "oxxo_display_details": details}


def _next_action(intent: Intent, base: str) -> Json:
    url = f"{base}/_stripe/authorize/{intent.id}"
    if intent.return_url is None:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": url, "source": url}
        return {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {"url": url, "return_url": intent.return_url},
    }
