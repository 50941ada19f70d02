"""The chart of the page: throughput and CPU of each side, as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

#: Pixels.
WIDTH: Final = 760
LABELS: Final = 170
VALUES: Final = 70
ROW: Final = 26
BAR: Final = 18
TITLE: Final = 34
#: Colours of our bars, of other sides' bars, and of the databases' part.
OURS: Final = "#1f6feb"
OTHERS: Final = "#8b949e"
DATABASES: Final = "#d29922"


def draw(medians: Mapping[str, Mapping[str, float]], titles: Mapping[str, str]) -> str:
    """Two groups of bars, with a bar for each side of ``titles``; ours is the first."""
    sides = list(titles)
    height = 2 * (TITLE + ROW * len(sides)) + ROW
    throughput = [(medians[side]["throughput"],) for side in sides]
    cpu = [
        (medians[side]["cpu_python"], medians[side]["cpu_servers"]) for side in sides
    ]
    below = TITLE + ROW * len(sides)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        *_bars("Settled payments a second", 0, list(titles.values()), throughput),
        *_bars(
            "CPU ms a payment: Python, then Redis and MongoDB",
            below,
            list(titles.values()),
            cpu,
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bars(
    title: str, top: int, labels: Sequence[str], rows: Sequence[tuple[float, ...]]
) -> Iterator[str]:
    """One group: a bar of one or more parts for each label."""
    most = max(sum(parts) for parts in rows)
    scale = (WIDTH - LABELS - VALUES) / most if most else 0
    yield _text(8, top + 22, title, 'font-weight="bold"')
    for place, (label, parts) in enumerate(zip(labels, rows, strict=True)):
        y = top + TITLE + ROW * place
        yield _text(LABELS - 8, y + 14, label, 'text-anchor="end"')
        x = float(LABELS)
        colours = (OTHERS if place else OURS, DATABASES)
        for part, colour in zip(parts, colours):
            yield (
                f'<rect x="{x:.1f}" y="{y}" width="{part * scale:.1f}"'
                f' height="{BAR}" fill="{colour}"/>'
            )
            x += part * scale
        total = sum(parts)
        yield _text(x + 6, y + 14, f"{total:,.0f}" if total >= 100 else f"{total:.2f}")


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="#24292f" {more}>{escape(text)}</text>'
