"""The demo's test keys, stored in the home so that the first commands work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from local_stack.folders import make_folder

#: The merchant of both keys.
MERCHANT: Final = "demo"
#: The files of the merchant's key and of the operator's key.
SHOP: Final = "demo_test_key"
OPERATOR: Final = "demo_operator_key"


def file_of(home: Path, name: str = SHOP) -> Path:
    """The file of a key's secret."""
    return home / "keys" / name


def read(home: Path, name: str = SHOP) -> str | None:
    """The stored secret, or None."""
    try:
        return file_of(home, name).read_text().strip()
    except FileNotFoundError:
        return None


def write(home: Path, secret: str, name: str = SHOP) -> None:
    """Stores ``secret`` in a file that only its owner can read."""
    make_folder(home, "keys")
    file = file_of(home, name)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secret + "\n")
