"""Alerts use existing metrics and labels, and have a runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import Counter, Gauge, Histogram
from ruamel.yaml import YAML

from runtime import metrics

ROOT: Final = Path(__file__).parents[3]
DEPLOY: Final = ROOT / "deploy"
_LOAD: Final = YAML(typ="safe").load
RULES: Final[list[dict[str, Any]]] = [
    rule for group in _LOAD(DEPLOY / "alerts.yml")["groups"] for rule in group["rules"]
]
#: The labels of each metric, by its name in Prometheus.
LABELS: Final = {
    family.name + ("_total" if isinstance(one, Counter) else ""): set(one._labelnames)
    for one in vars(metrics).values()
    if isinstance(one, Counter | Gauge | Histogram)
    for family in one.describe()
}


#: The thresholds of alerts on seconds.
_SECONDS: Final = {
    "PaymentsLate": 600,
    "PaymentsNotReconciled": 2 * 86_400,
    "PaymentsClockSkew": 1,
}
#: The label that Prometheus adds for the process.
_PROCESS: Final = {"instance"}


def test_prometheus_loads_the_alerts() -> None:
    named = _LOAD(DEPLOY / "prometheus.yml")["rule_files"]
    compose = _LOAD(ROOT / "docker-compose.yml")["services"]["prometheus"]
    assert named == ["alerts.yml"]
    assert "./deploy/alerts.yml:/etc/prometheus/alerts.yml:ro" in compose["volumes"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_uses_existing_metrics_and_labels_and_has_a_runbook(
    rule: dict[str, Any],
) -> None:
    metrics_used = re.findall(r"payments_[a-z_]+", rule["expr"])
    assert metrics_used and set(metrics_used) <= set(LABELS)
    [metric] = set(metrics_used)
    by = re.findall(r"by \(([a-z, ]+)\)", rule["expr"])
    used = {name.strip() for names in by for name in names.split(",")}
    used |= set(re.findall(r"([a-z]+)=~?", rule["expr"]))
    shown = re.findall(r"\$labels\.([a-z]+)", str(rule["annotations"]))
    assert used | set(shown) <= LABELS[metric] | _PROCESS
    threshold = int(rule["expr"].rpartition(" > ")[2])
    assert threshold == _SECONDS.get(
        rule["alert"], 0
    ), "other alerts fire at the first occurrence"
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "runbook"}
