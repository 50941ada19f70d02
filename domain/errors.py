"""Every error of ours. A class's docstring is its message unless one is given."""

from __future__ import annotations

from datetime import timedelta

from domain.conflict_reasons import ConflictReason
from domain.error_details import ErrorDetail
from domain.webhook_refusals import WebhookRefusal


class PaymentsError(Exception):
    """Something went wrong in the payment service."""

    #: A stable word for machines: it goes into problems, logs and timelines.
    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])


class InvalidPayment(PaymentsError):
    """The payment's fields contradict each other or a provider's rules.

    ``field`` is the JSON name of the field at fault.
    """

    code = "invalid_payment"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class IllegalTransition(PaymentsError):
    """The state machine has no such step; nothing was changed."""

    code = "illegal_transition"


class IdempotencyMismatch(PaymentsError):
    """This idempotency key was used before with another body."""

    code = "idempotency_key_reused"


class Conflict(PaymentsError):
    """The payment is in no state for this."""

    code = "conflict"

    def __init__(self, why: ConflictReason, message: str) -> None:
        super().__init__(message)
        self.why = why


class ReferenceInProgress(PaymentsError):
    """Another payment of this reference is not finished.

    ``payment`` is its id.
    """

    code = "reference_in_progress"

    def __init__(self, payment: str) -> None:
        super().__init__()
        self.payment = payment


class PaymentNotFound(PaymentsError):
    """There is no such payment."""

    code = "payment_not_found"


class ReplayNotFound(PaymentsError):
    """There is no such replay."""

    code = "replay_not_found"


class NotReconciled(PaymentsError):
    """A provider's books could not be read to the end; no report was made."""

    code = "not_reconciled"


class StoreUnavailable(PaymentsError):
    """The database did not acknowledge in time; nothing is promised."""

    code = "store_unavailable"


class WriteRefused(StoreUnavailable):
    """The database refuses to write this; nothing of it was stored.

    Trying again cannot help until an operator has seen to it.
    """

    code = "write_refused"


class DocumentUnreadable(StoreUnavailable):
    """What is stored here cannot be read; an operator has to see to it."""

    code = "document_unreadable"


class WebhookRefused(PaymentsError):
    """The webhook has no valid head, is too large or too old.

    ``why`` is for metrics, logs and the sender.
    """

    code = "webhook_refused"

    def __init__(self, why: WebhookRefusal) -> None:
        super().__init__()
        self.why = why


class WebhookNotTrusted(WebhookRefused):
    """Nobody that the provider vouches for has signed the webhook."""

    code = "webhook_not_trusted"


class WebhookDropped(PaymentsError):
    """The provider has signed the webhook, and it is not for us.

    ``why`` is for metrics and logs. The provider must not be told of an
    error: one that hears too many stops sending, ours included.
    """

    code = "webhook_dropped"

    def __init__(self, why: WebhookRefusal) -> None:
        super().__init__()
        self.why = why


class CertificateUnavailable(PaymentsError):
    """The certificate of a webhook's signature could not be fetched."""

    code = "certificate_unavailable"


class UnreadableWebhook(PaymentsError):
    """The webhook is the provider's, and not shaped as we know it."""

    code = "webhook_unreadable"


class QueueUnavailable(PaymentsError):
    """The broker took no message; recovery will find the work."""

    code = "queue_unavailable"


class ProviderError(PaymentsError):
    """A provider call ended without an answer; the class says what is safe next.

    ``detail`` is an ErrorDetail or a provider's code, never a provider's raw text;
    ``request_id`` is the provider's own name of the call, where it gave one;
    ``retry_after`` is how long it asked us to wait.
    """

    code = ErrorDetail.PROVIDER_ERROR

    def __init__(
        self,
        detail: str | None = None,
        *,
        request_id: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__()
        self.detail = detail or self.code
        self.request_id = request_id
        self.retry_after = retry_after


class NotExecuted(ProviderError):
    """The provider proved that it did nothing; trying again is safe."""

    code = ErrorDetail.NOT_EXECUTED


class NotSent(NotExecuted):
    """The request never reached the provider; trying again is safe."""

    code = ErrorDetail.NOT_SENT


class Misconfigured(NotExecuted):
    """Credentials or rights are wrong; trying again cannot help until they change."""

    code = ErrorDetail.MISCONFIGURED


class NotAuthorized(Misconfigured):
    """The credentials may not make calls of this kind; other kinds of calls go on."""

    code = ErrorDetail.NOT_AUTHORIZED


class NotPermitted(Misconfigured):
    """The account has no right to this one thing; what else it does goes on."""

    code = ErrorDetail.NOT_PERMITTED


class OutcomeUnknown(ProviderError):
    """The provider may have acted; ask it before acting again."""

    code = ErrorDetail.OUTCOME_UNKNOWN


class MalformedAnswer(OutcomeUnknown):
    """The provider's answer cannot be read."""

    code = ErrorDetail.MALFORMED_ANSWER


class MalformedObject(MalformedAnswer):
    """The provider answered, and what it says of this one object cannot be read."""

    code = ErrorDetail.MALFORMED_OBJECT


class LookupRequired(OutcomeUnknown):
    """Sending it again would tell nothing; only a look at the provider does."""

    code = ErrorDetail.LOOKUP_REQUIRED


class ListTooLong(ProviderError):
    """The provider lists no more than a part of this; ask for a shorter time."""

    code = ErrorDetail.LIST_TOO_LONG


class NeedsReview(ProviderError):
    """The provider's answer is one that only a person can judge."""

    code = ErrorDetail.NEEDS_REVIEW
