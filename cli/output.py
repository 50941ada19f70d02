"""The output of the command line: text for people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from local_stack import demo_keys

if TYPE_CHECKING:
    from cli.findings import Finding
    from local_stack.state import Ready

#: Columns of output that is not a terminal.
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
    """Renders a block with the key on a terminal, elsewhere a line without secrets."""
    if not sys.stdout.isatty():
        file = str(demo_keys.file_of(ready.home)) if ready.key else None
        line = {"event": "ready", "urls": dict(ready.urls), "key_file": file}
        return json.dumps(line)
    key = _KEY.format(api=ready.urls["api"], key=ready.key) if ready.key else ""
    return _BLOCK.format(**ready.urls, key=key, how_to_stop=how_to_stop)


def status(found: Mapping[str, Any]) -> str:
    """Renders `payments status` for people."""
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
    """Renders `payments doctor` for people: a line per finding, and its advice."""
    lines = []
    for one in found:
        lines.append(f"{one.verdict:4}  {one.name}: {one.words}")
        if one.advice:
            lines.append(f"      {one.advice}")
    return "\n".join(lines)


def findings_json(found: Sequence[Finding]) -> str:
    """Renders `payments doctor` for programs."""
    return json.dumps([asdict(one) for one in found], indent=2)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    whole: Collection[str] = (),
    width: int = WIDTH,
) -> str:
    """Renders a plain table: coloured on a terminal, elsewhere ``width`` columns wide.

    Columns in ``whole`` are never folded, so that people can copy from them; a narrow
    terminal wraps the line. Columns with only "-" are left out.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    cells = [[_printable(cell) for cell in row] for row in rows]
    shown = Table(box=box.SIMPLE_HEAD)
    kept = []
    for number, column in enumerate(columns):
        found = [row[number] for row in cells]
        if found and set(found) == {"-"}:
            continue
        kept.append(number)
        if column in whole:
            longest = max(map(cell_len, [column, *found]))
            shown.add_column(column, no_wrap=True, min_width=longest)
        else:
            shown.add_column(column, overflow="fold")
    for row in cells:
        shown.add_row(*(row[number] for number in kept))
    terminal = sys.stdout.isatty()
    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=terminal,
        width=None if terminal else width,
        highlight=False,
        markup=False,
    )
    unbounded = console.options.update(max_width=10**6)
    needed = Measurement.get(console, unbounded, shown).minimum
    console.width = max(console.width, needed)
    console.print(shown)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n")


def _printable(text: str) -> str:
    """Replaces characters with which a foreign text could control the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
