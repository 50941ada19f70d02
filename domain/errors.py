"""All errors of this service. A class's docstring is its default message."""

from __future__ import annotations

from datetime import timedelta

from domain.conflict_reasons import ConflictReason
from domain.error_details import ErrorDetail
from domain.webhook_refusals import WebhookRefusal


class PaymentsError(Exception):
    """Something went wrong in the payment service."""

    #: A stable code, which is shown in problems, logs and timelines.
    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])


class InvalidPayment(PaymentsError):
    """The payment's fields contradict each other or a provider's rules.

    ``field`` is the JSON name of the invalid field.
    """

    code = "invalid_payment"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class IllegalTransition(PaymentsError):
    """The state machine does not allow this step; nothing was changed."""

    code = "illegal_transition"


class IdempotencyMismatch(PaymentsError):
    """This idempotency key was used before with another body."""

    code = "idempotency_key_reused"


class Conflict(PaymentsError):
    """The payment's state does not allow this."""

    code = "conflict"

    def __init__(self, reason: ConflictReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


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
    """The provider's list of movements could not be read to the end: no report."""

    code = "not_reconciled"


class StoreUnavailable(PaymentsError):
    """The database did not acknowledge in time; the write may be lost."""

    code = "store_unavailable"


class WriteRefused(StoreUnavailable):
    """The database refuses this write; nothing of it was stored.

    Trying again cannot help until an operator has corrected the cause.
    """

    code = "write_refused"


class DocumentUnreadable(StoreUnavailable):
    """The stored document cannot be read; an operator has to repair it."""

    code = "document_unreadable"


class WebhookRefused(PaymentsError):
    """The webhook has no valid head, is too large or too old.

    ``why`` is for metrics, logs and the sender.
    """

    code = "webhook_refused"

    def __init__(self, reason: WebhookRefusal) -> None:
        super().__init__()
        self.reason = reason


class WebhookNotTrusted(WebhookRefused):
    """The webhook's signature is not valid."""

    code = "webhook_not_trusted"


class WebhookDropped(PaymentsError):
    """The provider signed the webhook, but it is not for this deployment.

    ``why`` is for metrics and logs. The provider gets no error: after too many errors
    it stops all webhooks.
    """

    code = "webhook_dropped"

    def __init__(self, reason: WebhookRefusal) -> None:
        super().__init__()
        self.reason = reason


class CertificateUnavailable(PaymentsError):
    """The certificate of a webhook's signature could not be fetched."""

    code = "certificate_unavailable"


class UnreadableWebhook(PaymentsError):
    """The webhook is the provider's, but its shape is unknown."""

    code = "webhook_unreadable"


class QueueUnavailable(PaymentsError):
    """The broker does not answer; recovery finds the work."""

    code = "queue_unavailable"


class ProviderError(PaymentsError):
    """A provider call ended without an answer; the class decides the next step.

    ``detail`` is an ErrorDetail or a provider's code, never a provider's raw text.
    ``request_id`` is the provider's id of the call, if it gave one. ``retry_after`` is
    the time that the provider asked us to wait.
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
    """The credentials or rights are wrong; a retry cannot help until they change."""

    code = ErrorDetail.MISCONFIGURED


class NotAuthorized(Misconfigured):
    """The credentials do not allow calls of this kind; other kinds are allowed."""

    code = ErrorDetail.NOT_AUTHORIZED


class NotPermitted(Misconfigured):
    """The account has no right to this one request; its other requests go on."""

    code = ErrorDetail.NOT_PERMITTED


class OutcomeUnknown(ProviderError):
    """The provider may have acted; ask it before acting again."""

    code = ErrorDetail.OUTCOME_UNKNOWN


class MalformedAnswer(OutcomeUnknown):
    """The provider's answer cannot be read."""

    code = ErrorDetail.MALFORMED_ANSWER


class MalformedObject(MalformedAnswer):
    """The provider answered, but its answer about this object cannot be read."""

    code = ErrorDetail.MALFORMED_OBJECT


class LookupRequired(OutcomeUnknown):
    """Another send would prove nothing; only a status lookup does."""

    code = ErrorDetail.LOOKUP_REQUIRED


class ListTooLong(ProviderError):
    """The provider lists only a part of this; a shorter time is needed."""

    code = ErrorDetail.LIST_TOO_LONG


class NeedsReview(ProviderError):
    """The provider's answer needs manual review."""

    code = ErrorDetail.NEEDS_REVIEW
