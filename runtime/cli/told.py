"""How the command line puts things: text for people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from runtime.stack import demo_key

if TYPE_CHECKING:
    from runtime.cli.doctor import Finding
    from runtime.stack.state import Ready

#: Columns where the output is no terminal that could say how wide it is.
WIDTH: Final = 160

_BLOCK: Final = """
The payment service is ready.

  API     {api}/v1/payments
  Docs    {docs}
  Stripe  {stripe}
  PayPal  {paypal}
{key}
Stop it with {how_to_stop}.
"""
_KEY: Final = """  Key     {key}  (test mode, merchant demo)

Try it:
  curl -i {api}/v1/payments -H "Authorization: Bearer {key}" \\
    -H "Idempotency-Key: order-1042" -H "Content-Type: application/json" \\
    -d '{{"amount": 1999, "currency": "USD", "provider": "stripe",
         "payment_method": "pm_card_visa", "reference": "order-1042"}}'
"""


def started(ready: Ready, *, how_to_stop: str) -> str:
    """A block with a key to copy on a terminal; elsewhere a line without secrets."""
    if not sys.stdout.isatty():
        file = str(demo_key.file_of(ready.home)) if ready.key else None
        line = {"event": "ready", "urls": dict(ready.urls), "key_file": file}
        return json.dumps(line)
    key = _KEY.format(api=ready.urls["api"], key=ready.key) if ready.key else ""
    return _BLOCK.format(**ready.urls, key=key, how_to_stop=how_to_stop)


def status(found: Mapping[str, Any]) -> str:
    """`payments status` for people."""
    rows = [
        [
            row["name"],
            str(row["pid"] or "-"),
            "ready" if row["ready"] else "not ready",
            row["metrics_url"] or "-",
        ]
        for row in found["processes"]
    ]
    urls = "".join(f"{name:7} {url}\n" for name, url in found["urls"].items())
    return urls + table(["process", "pid", "state", "metrics"], rows)


def findings(found: Sequence[Finding]) -> str:
    """`payments doctor` for people: a line each, and advice for what is wrong."""
    lines = []
    for one in found:
        lines.append(f"{one.verdict:4}  {one.name}: {one.words}")
        if one.advice:
            lines.append(f"      {one.advice}")
    return "\n".join(lines)


def findings_json(found: Sequence[Finding]) -> str:
    """`payments doctor` for programs."""
    return json.dumps([asdict(one) for one in found], indent=2)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table, coloured on a terminal only."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        shown.add_column(column, overflow="fold")  # an id must stay whole
    for row in rows:
        shown.add_row(*row)
    terminal = sys.stdout.isatty()
    text = io.StringIO()
    Console(
        file=text,
        force_terminal=terminal,
        width=None if terminal else WIDTH,
        highlight=False,
        markup=False,
    ).print(shown)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n")
