"""Folders in a stack's home, private because they hold payments and keys."""

from __future__ import annotations

from pathlib import Path

from runtime.settings import SettingsError


def make_folder(home: Path, name: str = "") -> Path:
    """Makes ``home`` and its folder ``name`` if missing; returns the absolute path.

    Raises SettingsError if it cannot be made.
    """
    path = home
    for part in ("", name):  # mkdir sets the mode of the last folder only
        path = path / part
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"PAYMENTS_HOME: {path} cannot be made ({error.strerror})"
            ) from None
    return path.resolve()
