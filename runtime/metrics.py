"""What Prometheus sees of each process. No label names a payment or a merchant."""

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

#: Seconds; from a quick database write to the day that a retry may take.
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
#: Seconds; connecting is cut off at three, a silent answer at ten more.
_CALL_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12)

ACCEPTED: Final = Counter(
    "payments_accepted_total",
    "Payments made durable; replays are not counted",
    ["provider", "operation"],
    registry=REGISTRY,
)
SETTLED: Final = Counter(
    "payments_settled_total",
    "Operations that reached a state in which no work of ours is owed",
    ["provider", "operation", "state"],
    registry=REGISTRY,
)
CORRECTIONS: Final = Counter(
    "payments_corrections_total",
    "Final operations that a later fact from the provider has moved",
    ["provider", "operation"],
    registry=REGISTRY,
)
EXTERNAL: Final = Counter(
    "payments_external_operations_total",
    "Operations that others made at the provider, once they are taken over",
    ["provider", "operation"],
    registry=REGISTRY,
)
ATTEMPTS: Final = Counter(
    "payments_attempts_total",
    "Provider attempts by what came back",
    ["provider", "answer"],
    registry=REGISTRY,
)
ESCALATED: Final = Counter(
    "payments_escalated_total",
    "Operations that became a person's",
    ["provider", "reason"],
    registry=REGISTRY,
)
DISAGREEMENTS: Final = Counter(
    "payments_disagreements_total",
    "Answers that say that our books, or what we know of a provider, are not as theirs",
    ["provider", "reason"],
    registry=REGISTRY,
)
QUEUE_WAIT: Final = Histogram(
    "payments_queue_wait_seconds",
    "From acceptance, or the scheduled time, to the first claim",
    buckets=_WAIT_BUCKETS,
    registry=None,
)
END_TO_END: Final = Histogram(
    "payments_end_to_end_seconds",
    "From acceptance, or the scheduled time, to a settled operation",
    ["provider", "operation"],
    buckets=_WAIT_BUCKETS,
    registry=REGISTRY,
)
PROVIDER_CALLS: Final = Histogram(
    "payments_provider_seconds",
    "One HTTP call to a provider",
    ["provider", "call", "status_class"],
    buckets=_CALL_BUCKETS,
    registry=REGISTRY,
)
WEBHOOKS: Final = Counter(
    "payments_webhooks_total",
    "Events that providers told us of, each once, made durable",
    ["provider", "type"],
    registry=REGISTRY,
)
WEBHOOKS_REFUSED: Final = Counter(
    "payments_webhooks_refused_total",
    "Webhooks that were not the provider's",
    ["provider", "reason"],
    registry=REGISTRY,
)
WEBHOOKS_DROPPED: Final = Counter(
    "payments_webhooks_dropped_total",
    "Webhooks that the provider has signed and that are not for us",
    ["provider", "reason"],
    registry=REGISTRY,
)
WEBHOOKS_ENDED: Final = Counter(
    "payments_webhooks_ended_total",
    "Events that were handled, or kept as what nobody here knows",
    ["provider", "status"],
    registry=REGISTRY,
)
DISPUTES: Final = Counter(
    "payments_disputes_total",
    "Facts of disputes that were told on a payment's timeline",
    ["provider", "event"],
    registry=REGISTRY,
)
WEBHOOKS_WAITING: Final = Gauge(
    "payments_webhooks_waiting",
    "Events that are not handled yet, or tried again",
    registry=None,
)
WAKEUPS_DROPPED: Final = Counter(
    "payments_wakeups_dropped_total",
    "Payments and webhooks whose message the broker did not take; recovery finds them",
    registry=REGISTRY,
)
MESSAGES_DROPPED: Final = Counter(
    "payments_messages_dropped_total",
    "What a worker took from a queue and could not read",
    registry=REGISTRY,
)
QUEUES_DELETED: Final = Counter(
    "payments_queues_deleted_total",
    "Queues that were no list in Redis, and were deleted",
    registry=REGISTRY,
)
DUE: Final = Gauge(
    "payments_due",
    "Payments on which work is owed now, by the state of their operation",
    ["state"],
    registry=None,
)
OLDEST_DUE: Final = Gauge(
    "payments_oldest_due_seconds",
    "How long the payment that is due longest has waited",
    registry=None,
)
UNKNOWN: Final = Gauge(
    "payments_unknown",
    "Operations whose outcome is not known",
    ["provider"],
    registry=None,
)
OPEN: Final = Gauge(
    "payments_open",
    "Operations that are not in a final state",
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
    "Movements of money that differ from the provider's, and nobody has closed",
    ["account", "kind"],
    registry=None,
)
RECONCILIATION_SUCCESS: Final = Gauge(
    "payments_reconciliation_last_success_timestamp_seconds",
    "When the last comparison with an account came to its end; Unix time",
    ["account"],
    registry=None,
)
INDEX_MISSING: Final = Gauge(
    "payments_index_missing",
    "Whether an index that this version wants is missing or under construction",
    ["collection", "index"],
    registry=None,
)
FAULTY_DOCUMENTS: Final = Gauge(
    "payments_faulty_documents",
    "Documents that MongoDB lately refused to write, or that could not be read",
    ["collection", "fault"],
    registry=None,
)
#: What one process alone asks the database for; elsewhere they would stand empty.
DATABASE_METRICS: Final = (
    *(DUE, OLDEST_DUE, UNKNOWN, OPEN, BREAKER_STATE, WEBHOOKS_WAITING),
    *(RECONCILIATION_DIFFERENCES, RECONCILIATION_SUCCESS),
    *(INDEX_MISSING, FAULTY_DOCUMENTS),
)
WORKER_SLOTS: Final = Gauge(
    "payments_worker_slots",
    "Provider calls this worker can have open",
    registry=None,
)
WORKER_BUSY: Final = Gauge(
    "payments_worker_busy",
    "Payments this worker holds a lease on",
    registry=None,
)
REQUESTS_LIMITED: Final = Counter(
    "payments_requests_limited_total",
    "Requests refused because a key, a merchant or an address had its quota",
    ["quota"],
    registry=REGISTRY,
)
CLOCK_SKEW: Final = Gauge(
    "payments_clock_skew_seconds",
    "How far this process's clock is ahead of MongoDB's",
    registry=REGISTRY,
)
Gauge(
    "payments_build_info",
    "Always 1; the label says what runs",
    ["version"],
    registry=REGISTRY,
).labels(__version__).set(1)


# An alert sees a count rise from 0, and not one that begins with 1.
for _provider in ProviderName:
    for _why in DISAGREEING_CODES:
        DISAGREEMENTS.labels(_provider, _why)


def create_observer(provider: ProviderName) -> Observe:
    """Counts the calls of a process to ``provider``."""

    def observe(call: str, status_class: str, seconds: float) -> None:
        PROVIDER_CALLS.labels(provider, call, status_class).observe(seconds)

    return observe


class PrometheusAdmissionMetrics:
    """Counts what this process's breakers do."""

    def count_opened(self, breaker: CircuitBreaker, trip_reason: TripReason) -> None:
        """See AdmissionMetrics."""
        BREAKER_OPENED.labels(*breaker_labels(breaker), trip_reason).inc()

    def count_probe(self, breaker: CircuitBreaker) -> None:
        """See AdmissionMetrics."""
        BREAKER_PROBES.labels(*breaker_labels(breaker)).inc()

    def count_postponed(self, account: str, count: int) -> None:
        """See AdmissionMetrics."""
        PAYMENTS_POSTPONED.labels(account).inc(count)


def breaker_labels(breaker: CircuitBreaker) -> tuple[str, str]:
    """The account, and the calls that it stands before."""
    return breaker.account, breaker.call_kind or "all"


def register_metrics(*measured: Collector) -> None:
    """Adds metrics that only this kind of process measures: elsewhere a 0 would lie."""
    for one in measured:
        REGISTRY.register(one)


def render_metrics() -> tuple[bytes, str]:
    """The registry as Prometheus reads it, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def serve(settings: Settings) -> int:
    """Serves ``/metrics`` from a thread; returns the port it listens on."""
    server, _ = start_http_server(
        settings.metrics_port, addr=settings.metrics_host, registry=REGISTRY
    )
    return int(server.server_port)
