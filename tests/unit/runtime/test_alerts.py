"""Alerts ask for metrics that there are, and say what to do."""

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
#: The labels of each metric, by the name that Prometheus has.
LABELS: Final = {
    family.name + ("_total" if isinstance(one, Counter) else ""): set(one._labelnames)
    for one in vars(metrics).values()
    if isinstance(one, Counter | Gauge | Histogram)
    for family in one.describe()
}


#: Where a time is looked at, and how much is too much.
_SECONDS: Final = {
    "PaymentsLate": 600,
    "PaymentsNotReconciled": 2 * 86_400,
    "PaymentsClockSkew": 1,
}
#: What Prometheus adds itself: which process it asked.
_PROCESS: Final = {"instance"}


def test_prometheus_is_given_the_alerts() -> None:
    named = _LOAD(DEPLOY / "prometheus.yml")["rule_files"]
    compose = _LOAD(ROOT / "docker-compose.yml")["services"]["prometheus"]
    assert named == ["alerts.yml"]
    assert "./deploy/alerts.yml:/etc/prometheus/alerts.yml:ro" in compose["volumes"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_measured_and_says_what_to_do(
    rule: dict[str, Any],
) -> None:
    asked = re.findall(r"payments_[a-z_]+", rule["expr"])
    assert asked and set(asked) <= set(LABELS)
    [metric] = set(asked)
    by = re.findall(r"by \(([a-z, ]+)\)", rule["expr"])
    used = {name.strip() for names in by for name in names.split(",")}
    used |= set(re.findall(r"([a-z]+)=~?", rule["expr"]))
    shown = re.findall(r"\$labels\.([a-z]+)", str(rule["annotations"]))
    assert used | set(shown) <= LABELS[metric] | _PROCESS
    threshold = int(rule["expr"].rpartition(" > ")[2])
    assert threshold == _SECONDS.get(rule["alert"], 0), "of anything else one is enough"
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "runbook"}
