"""The metrics of each process. No label names a payment or a merchant."""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    start_http_server,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from domain.circuit_breaker import CircuitBreaker, TripReason
from domain.payments.failure_codes import DISAGREEING_CODES
from domain.payments.submission import ProviderName
from providers.http import Observe
from runtime import __version__
from runtime.settings import Settings

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

#: Seconds, from a quick database write to a day of retries.
_WAIT_BUCKETS: Final = (
    0.005,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    15,
    60,
    600,
    3600,
    86400,
)
#: Seconds. Connecting times out after 3, and reading after 10 more.
_CALL_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12)

ACCEPTED: Final = Counter(
    "payments_accepted_total",
    "Payments stored durably; repeated requests are not counted",
    ["provider", "operation"],
    registry=REGISTRY,
)
SETTLED: Final = Counter(
    "payments_settled_total",
    "Operations that reached a state without further work for the service",
    ["provider", "operation", "state"],
    registry=REGISTRY,
)
CORRECTIONS: Final = Counter(
    "payments_corrections_total",
    "Final operations corrected by a later fact from the provider",
    ["provider", "operation"],
    registry=REGISTRY,
)
EXTERNAL: Final = Counter(
    "payments_external_operations_total",
    "Operations made at the provider and taken over by the service",
    ["provider", "operation"],
    registry=REGISTRY,
)
ATTEMPTS: Final = Counter(
    "payments_attempts_total",
    "Attempts at the provider, by answer",
    ["provider", "answer"],
    registry=REGISTRY,
)
ESCALATED: Final = Counter(
    "payments_escalated_total",
    "Operations that came to need manual review, by reason",
    ["provider", "reason"],
    registry=REGISTRY,
)
DISAGREEMENTS: Final = Counter(
    "payments_disagreements_total",
    "Answers that disagree with our books, or have an unknown status",
    ["provider", "reason"],
    registry=REGISTRY,
)
QUEUE_WAIT: Final = Histogram(
    "payments_queue_wait_seconds",
    "Seconds from acceptance, or the scheduled time, to the first claim",
    buckets=_WAIT_BUCKETS,
    registry=None,
)
END_TO_END: Final = Histogram(
    "payments_end_to_end_seconds",
    "Seconds from acceptance, or the scheduled time, to the terminal state",
    ["provider", "operation"],
    buckets=_WAIT_BUCKETS,
    registry=REGISTRY,
)
PROVIDER_CALLS: Final = Histogram(
    "payments_provider_seconds",
    "Seconds of one HTTP call to a provider",
    ["provider", "call", "status_class"],
    buckets=_CALL_BUCKETS,
    registry=REGISTRY,
)
WEBHOOKS: Final = Counter(
    "payments_webhooks_total",
    "Webhooks of providers, stored durably, each event once",
    ["provider", "type"],
    registry=REGISTRY,
)
WEBHOOKS_REFUSED: Final = Counter(
    "payments_webhooks_refused_total",
    "Webhooks refused because the provider had not signed them",
    ["provider", "reason"],
    registry=REGISTRY,
)
WEBHOOKS_DROPPED: Final = Counter(
    "payments_webhooks_dropped_total",
    "Signed webhooks that are not for this deployment",
    ["provider", "reason"],
    registry=REGISTRY,
)
WEBHOOKS_ENDED: Final = Counter(
    "payments_webhooks_ended_total",
    "Webhooks that ended, by status: handled, ignored, unmatched or unreadable",
    ["provider", "status"],
    registry=REGISTRY,
)
DISPUTES: Final = Counter(
    "payments_disputes_total",
    "Events of disputes recorded on payments' timelines",
    ["provider", "event"],
    registry=REGISTRY,
)
WEBHOOKS_WAITING: Final = Gauge(
    "payments_webhooks_waiting",
    "Webhooks not handled yet, including retries",
    registry=None,
)
WAKEUPS_DROPPED: Final = Counter(
    "payments_wakeups_dropped_total",
    "Payments and webhooks without a wake-up message; beat finds them later",
    registry=REGISTRY,
)
MESSAGES_DROPPED: Final = Counter(
    "payments_messages_dropped_total",
    "Unreadable messages that a worker took from a queue",
    registry=REGISTRY,
)
QUEUES_DELETED: Final = Counter(
    "payments_queues_deleted_total",
    "Redis keys of queues that were no list and were deleted",
    registry=REGISTRY,
)
DUE: Final = Gauge(
    "payments_due",
    "Payments with work due now, by the state of their operation",
    ["state"],
    registry=None,
)
OLDEST_DUE: Final = Gauge(
    "payments_oldest_due_seconds",
    "Seconds since the oldest due payment became due",
    registry=None,
)
UNKNOWN: Final = Gauge(
    "payments_unknown",
    "Operations with an unknown outcome",
    ["provider"],
    registry=None,
)
OPEN: Final = Gauge(
    "payments_open",
    "Operations in a state that is not terminal",
    ["provider", "state"],
    registry=None,
)
BREAKER_STATE: Final = Gauge(
    "payments_breaker_state",
    "Whether the circuit breaker of these calls is in this state: 1 or 0",
    ["account", "calls", "state"],
    registry=None,
)
BREAKER_OPENED: Final = Counter(
    "payments_breaker_opened_total",
    "Times this worker opened a circuit breaker",
    ["account", "calls", "reason"],
    registry=REGISTRY,
)
BREAKER_PROBES: Final = Counter(
    "payments_breaker_probes_total",
    "Single payments sent to probe the provider of an open breaker",
    ["account", "calls"],
    registry=REGISTRY,
)
PAYMENTS_POSTPONED: Final = Counter(
    "payments_postponed_total",
    "Payments postponed by an open breaker or by the rate limit",
    ["account"],
    registry=REGISTRY,
)
RECONCILIATION_DIFFERENCES: Final = Gauge(
    "payments_reconciliation_differences",
    "Open differences between our books and the provider's",
    ["account", "kind"],
    registry=None,
)
RECONCILIATION_SUCCESS: Final = Gauge(
    "payments_reconciliation_last_success_timestamp_seconds",
    "Unix time of the end of the last complete reconciliation of an account",
    ["account"],
    registry=None,
)
INDEX_MISSING: Final = Gauge(
    "payments_index_missing",
    "Whether an index of this version is missing or under construction: 1 or 0",
    ["collection", "index"],
    registry=None,
)
FAULTY_DOCUMENTS: Final = Gauge(
    "payments_faulty_documents",
    "Documents refused by MongoDB or unreadable in the last half hour",
    ["collection", "fault"],
    registry=None,
)
#: The exporter's metrics. In other processes they would be empty.
DATABASE_METRICS: Final = (
    *(DUE, OLDEST_DUE, UNKNOWN, OPEN, BREAKER_STATE, WEBHOOKS_WAITING),
    *(RECONCILIATION_DIFFERENCES, RECONCILIATION_SUCCESS),
    *(INDEX_MISSING, FAULTY_DOCUMENTS),
)
WORKER_SLOTS: Final = Gauge(
    "payments_worker_slots",
    "Concurrent provider calls of this worker at most",
    registry=None,
)
WORKER_BUSY: Final = Gauge(
    "payments_worker_busy",
    "Payments leased by this worker",
    registry=None,
)
REQUESTS_LIMITED: Final = Counter(
    "payments_requests_limited_total",
    "Requests refused because a quota was exceeded",
    ["quota"],
    registry=REGISTRY,
)
CLOCK_SKEW: Final = Gauge(
    "payments_clock_skew_seconds",
    "Seconds by which this process's clock is ahead of MongoDB's",
    registry=REGISTRY,
)
Gauge(
    "payments_build_info",
    "Always 1; the label has the version",
    ["version"],
    registry=REGISTRY,
).labels(__version__).set(1)


# Alerts use increases, and a counter that starts at 1 has none.
for _provider in ProviderName:
    for _reason in DISAGREEING_CODES:
        DISAGREEMENTS.labels(_provider, _reason)


def create_observer(provider: ProviderName) -> Observe:
    """Returns a function that measures the process's calls to ``provider``."""

    def observe(call: str, status_class: str, seconds: float) -> None:
        PROVIDER_CALLS.labels(provider, call, status_class).observe(seconds)

    return observe


class PrometheusAdmissionMetrics:
    """AdmissionMetrics in Prometheus."""

    def count_opened(self, breaker: CircuitBreaker, trip_reason: TripReason) -> None:
        """Counts a breaker that this process opened."""
        BREAKER_OPENED.labels(*breaker_labels(breaker), trip_reason).inc()

    def count_probe(self, breaker: CircuitBreaker) -> None:
        """Counts a payment sent as a probe."""
        BREAKER_PROBES.labels(*breaker_labels(breaker)).inc()

    def count_postponed(self, account: str, count: int) -> None:
        """Counts payments postponed by an account's limit or breaker."""
        PAYMENTS_POSTPONED.labels(account).inc(count)


def breaker_labels(breaker: CircuitBreaker) -> tuple[str, str]:
    """The labels ``account`` and ``calls``."""
    return breaker.account, breaker.call_kind or "all"


def register_metrics(*measured: Collector) -> None:
    """Adds metrics of one kind of process; in others they would show a false 0."""
    for one in measured:
        REGISTRY.register(one)


def render_metrics() -> tuple[bytes, str]:
    """The registry in Prometheus's text format, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def serve(settings: Settings) -> int:
    """Serves ``/metrics`` from a thread and returns the port."""
    server, _ = start_http_server(
        settings.metrics_port, addr=settings.metrics_host, registry=REGISTRY
    )
    return int(server.server_port)
