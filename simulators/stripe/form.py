"""Stripe's form encoding: ``metadata[order]=7`` and ``expand[]=latest_charge``."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from simulators.calls import Json

#: Parameters in one request; far more than any operation has.
MAX_FIELDS: Final = 500
#: Brackets in one name; Stripe's own parameters need five.
MAX_DEPTH: Final = 8

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")


class BadForm(ValueError):
    """The form cannot be read; the message names the parameter."""


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Split a query or body into decoded pairs. Raises ``BadForm``."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadForm(str(error)) from None


def nest(pairs: list[tuple[str, str]]) -> Json:
    """Build nested objects and lists from pairs.

    Values stay strings, as on the wire. ``a[]=x`` and ``a[0]=x`` both make a list.
    Raises ``BadForm`` for a name that contradicts another or is malformed.
    """
    root: Json = {}
    for name, value in pairs:
        if "[" not in name:
            root[name] = value
            continue
        match = _NAME.match(name)
        if match is None:
            raise BadForm(f"Invalid parameter name: {name}")
        path = [match[1], *match[2][1:-1].split("][")]
        if len(path) > MAX_DEPTH:
            raise BadForm(f"Parameter nested too deeply: {name}")
        _put(root, path, value, name)
    return {key: _lists(value) for key, value in root.items()}


def _put(root: Json, path: list[str], value: str, name: str) -> None:
    here = root
    for part in path[:-1]:
        key = part or str(len(here))
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise BadForm(f"Conflicting parameter: {name}")
    here[path[-1] or str(len(here))] = value


def _lists(value: Any) -> Any:
    """Turn objects whose keys count from 0 into lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if inner and list(inner) == [str(index) for index in range(len(inner))]:
        return list(inner.values())
    return inner
