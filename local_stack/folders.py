"""Folders in a stack's home: its owner's alone, for they hold payments and keys."""

from __future__ import annotations

from pathlib import Path

from runtime.settings import SettingsError


def folder(home: Path, name: str = "") -> Path:
    """``home``, or its folder ``name``, made where it is missing; absolute.

    Raises SettingsError where it cannot be made.
    """
    path = home
    for part in ("", name):  # the mode of mkdir is that of the last folder only
        path = path / part
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"PAYMENTS_HOME: {path} cannot be made ({error.strerror})"
            ) from None
    return path.resolve()
