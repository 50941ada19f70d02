"""The documentation's settings, metrics and labels, compared with the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import Counter, Gauge, Histogram

from runtime import metrics
from runtime.settings import Settings
from web import long_poll, middleware
from web.http import listener

DOCS: Final = Path(__file__).parents[3] / "docs"
PAGES: Final = sorted(DOCS.rglob("*.md"))
#: The labels of each metric, by its name in Prometheus.
LABELS: Final = {
    family.name
    + ("_total" if isinstance(metric, Counter) else ""): set(metric._labelnames)
    for module in (metrics, listener, long_poll, middleware)
    for metric in vars(module).values()
    if isinstance(metric, Counter | Gauge | Histogram)
    for family in metric.describe()
}


def settings_table() -> str:
    """Every setting, in the page's table."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for field in fields(Settings):
        default = "" if field.default in ("", None) else f"`{field.default}`"
        rows.append(
            f"| `{field.metadata['name']}` | {default} | {field.metadata['help']} |"
        )
    return "\n".join(rows)


def test_the_page_lists_every_setting_with_its_default() -> None:
    assert settings_table() in (DOCS / "operating.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_existing_metrics_and_labels(page: Path) -> None:
    named = re.findall(r"`(payments_[a-z_]+)(?:\{([^}]*)\})?`", page.read_text())
    for metric, selector in named:
        labels = {part.partition("=")[0] for part in selector.split(",") if part}
        assert metric in LABELS
        assert labels <= LABELS[metric], metric
