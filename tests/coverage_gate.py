"""Holds the coverage of each package against its threshold.

Domain and application are measured by the unit tests alone; the other packages by the
integration tests as well, the processes that they start included.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Final

from coverage import Coverage
from coverage.exceptions import NoDataError

DATA: Final = Path("build/coverage")

#: Package, the suite that counts (both: empty), per cent of lines and branches.
THRESHOLDS: Final = (
    ("domain", "unit", 100),
    ("application", "unit", 90),
    ("providers", "", 80),
    ("persistence", "", 80),
    ("runtime", "", 80),
    ("local_stack", "", 80),
    ("cli", "", 80),
    ("workers", "", 80),
    ("web", "", 80),
    ("simulators", "", 80),
)


def main() -> int:
    """Prints a line for each package; 1 where one falls short."""
    measured = {suite: combined(suite) for suite in ("unit", "")}
    short = 0
    for package, suite, threshold in THRESHOLDS:
        report = io.StringIO()
        try:
            # Rounded down, so that 99.99 % is not 100 %.
            percent = int(
                measured[suite].report(include=[f"{package}/*"], file=report) * 10
            )
        except NoDataError:
            print(f"{package:<12} not measured: run the suites first, or `make gates`")
            short += 1
            continue
        verdict = "ok" if percent >= threshold * 10 else "SHORT"
        print(f"{package:<12} {percent / 10:5.1f} %  of {threshold} %  {verdict}")
        if verdict != "ok":
            short += 1
            print(report.getvalue())
    return 1 if short else 0


def combined(suite: str) -> Coverage:
    """The data of one suite's processes, or of both suites'."""
    coverage = Coverage(data_file=str(DATA / f"combined-{suite or 'all'}"))
    files = [
        str(path) for path in DATA.glob(f"{suite}*") if "combined" not in path.name
    ]
    if files:
        coverage.combine(files, keep=True)
        coverage.save()
    return coverage


if __name__ == "__main__":
    sys.exit(main())
