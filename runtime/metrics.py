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

from domain.circuit_breaker import Gate, Why
from domain.payments.failure_codes import DISAGREEING_CODES
from domain.payments.submission import ProviderName
from providers.http import Observe
from runtime import __version__
from runtime.settings import Settings

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

#: Seconds; from a quick database write to the day that a retry may take.
_WAITS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 600, 3600, 86400)
#: Seconds; connecting is cut off at three, a silent answer at ten more.
_CALLS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12)

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
    ["provider", "why"],
    registry=REGISTRY,
)
DISAGREEMENTS: Final = Counter(
    "payments_disagreements_total",
    "Answers that say that our books, or what we know of a provider, are not as theirs",
    ["provider", "why"],
    registry=REGISTRY,
)
QUEUE_WAIT: Final = Histogram(
    "payments_queue_wait_seconds",
    "From acceptance, or the scheduled time, to the first claim",
    buckets=_WAITS,
    registry=None,
)
END_TO_END: Final = Histogram(
    "payments_end_to_end_seconds",
    "From acceptance, or the scheduled time, to a settled operation",
    ["provider", "operation"],
    buckets=_WAITS,
    registry=REGISTRY,
)
PROVIDER_CALLS: Final = Histogram(
    "payments_provider_seconds",
    "One HTTP call to a provider",
    ["provider", "call", "status_class"],
    buckets=_CALLS,
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
    ["provider", "why"],
    registry=REGISTRY,
)
WEBHOOKS_DROPPED: Final = Counter(
    "payments_webhooks_dropped_total",
    "Webhooks that the provider has signed and that are not for us",
    ["provider", "why"],
    registry=REGISTRY,
)
WEBHOOKS_ENDED: Final = Counter(
    "payments_webhooks_ended_total",
    "Events that were handled, or kept as what nobody here knows",
    ["provider", "fate"],
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
RINGS_DROPPED: Final = Counter(
    "payments_rings_dropped_total",
    "Payments and webhooks whose message the broker did not take; recovery finds them",
    registry=REGISTRY,
)
MESSAGES_DROPPED: Final = Counter(
    "payments_messages_dropped_total",
    "What a worker took from a queue and could not read",
    registry=REGISTRY,
)
QUEUES_MENDED: Final = Counter(
    "payments_queues_mended_total",
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
GATE_STATE: Final = Gauge(
    "payments_gate_state",
    "Whether the gate before these calls of an account is in this position: 1 or 0",
    ["account", "calls", "state"],
    registry=None,
)
GATE_OPENED: Final = Counter(
    "payments_gate_opened_total",
    "Times this worker opened a gate, so that none of its calls passed",
    ["account", "calls", "why"],
    registry=REGISTRY,
)
GATE_PROBES: Final = Counter(
    "payments_gate_probes_total",
    "Single payments sent through an open gate to see how the provider is",
    ["account", "calls"],
    registry=REGISTRY,
)
LIMITED: Final = Counter(
    "payments_limited_total",
    "Payments put off because a gate was open or an account had its calls",
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
OF_THE_DATABASE: Final = (
    *(DUE, OLDEST_DUE, UNKNOWN, OPEN, GATE_STATE, WEBHOOKS_WAITING),
    *(RECONCILIATION_DIFFERENCES, RECONCILIATION_SUCCESS),
    *(INDEX_MISSING, FAULTY_DOCUMENTS),
)
SLOTS: Final = Gauge(
    "payments_worker_slots",
    "Provider calls this worker can have open",
    registry=None,
)
BUSY: Final = Gauge(
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


def observer(provider: ProviderName) -> Observe:
    """Counts the calls of a process to ``provider``."""

    def observe(call: str, status_class: str, seconds: float) -> None:
        PROVIDER_CALLS.labels(provider, call, status_class).observe(seconds)

    return observe


class GateMetrics:
    """Counts what this process's gates do."""

    def opened(self, gate: Gate, why: Why) -> None:
        """See GateWatch."""
        GATE_OPENED.labels(*gate_labels(gate), why).inc()

    def probed(self, gate: Gate) -> None:
        """See GateWatch."""
        GATE_PROBES.labels(*gate_labels(gate)).inc()

    def put_off(self, account: str, count: int) -> None:
        """See GateWatch."""
        LIMITED.labels(account).inc(count)


def gate_labels(gate: Gate) -> tuple[str, str]:
    """The account, and the calls that it stands before."""
    return gate.account, gate.calls or "all"


def show(*measured: Collector) -> None:
    """Adds metrics that only this kind of process measures: elsewhere a 0 would lie."""
    for one in measured:
        REGISTRY.register(one)


def exposition() -> tuple[bytes, str]:
    """The registry as Prometheus reads it, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def serve(settings: Settings) -> int:
    """Serves ``/metrics`` from a thread; returns the port it listens on."""
    server, _ = start_http_server(
        settings.metrics_port, addr=settings.metrics_host, registry=REGISTRY
    )
    return int(server.server_port)
