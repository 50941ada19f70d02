"""The demo merchant's test key, kept in the home so that the first curl works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from runtime.stack import homes

#: Whose key it is.
MERCHANT: Final = "demo"


def file_of(home: Path) -> Path:
    """Where the key's secret is kept."""
    return home / "keys" / "demo_test_key"


def read(home: Path) -> str | None:
    """The secret of an earlier run, or None."""
    try:
        return file_of(home).read_text().strip()
    except FileNotFoundError:
        return None


def write(home: Path, secret: str) -> None:
    """Keep ``secret`` for its owner's eyes alone."""
    homes.folder(home, "keys")
    file = file_of(home)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secret + "\n")
