"""Whether what was read has the types that its dataclass declares.

MongoDB stores whatever it is given. A text in the place of a time would be noticed long
after it was read, amid documents that are well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

#: Combinations of types that are remembered of one dataclass; there are some dozens.
_MAX_TYPES: Final = 1_000


def check_fields(value: Value) -> Value:
    """``value``, every field of it of the type that is declared, and so on within.

    What is no dataclass is not looked at. Raises TypeError.
    """
    kind: Any = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        _check_of(kind)(value)
    return value


@cache
def _check_of(kind: type[Any]) -> Callable[[Any], None]:
    """The check of a dataclass. It costs a microsecond or two, for the types of all
    fields are looked up at once, among those that were well."""
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)]
    values_of = attrgetter(*names, "__class__")  # one more, so that it is always many
    allowed = [_classes(hints[name]) for name in names]
    within = [
        (place, deeper)
        for place, name in enumerate(names)
        if (deeper := _within(hints[name])) is not None
    ]
    well = set[tuple[type, ...]]()

    def check(value: Any) -> None:
        values = values_of(value)
        types = tuple(map(type, values))
        if types not in well:
            for name, one, classes in zip(names, values, allowed, strict=False):
                if not isinstance(one, classes):
                    raise TypeError(f"{name} is of the type {type(one).__name__}")
            if len(well) < _MAX_TYPES:
                well.add(types)
        for place, check_within in within:
            if values[place] is not None:
                check_within(values[place])

    return check


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes that a value of this type may have."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return tuple(one for arm in get_args(hint) for one in _classes(arm))
    found = origin or hint
    if not isinstance(found, type):
        return (object,)
    return (int, float) if found is float else (found,)


def _within(hint: Any) -> Callable[[Any], None] | None:
    """The check of what a value of this type holds; None where that is nothing."""
    if get_origin(hint) in (Union, UnionType):
        arms = [one for one in get_args(hint) if one is not NoneType]
        return _within(arms[0]) if len(arms) == 1 else None
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        return _each(get_args(hint)[0])
    return _check_of(hint) if hasattr(hint, "__dataclass_fields__") else None


def _each(hint: Any) -> Callable[[Any], None]:
    classes, within = _classes(hint), _within(hint)

    def check(values: Any) -> None:
        for one in values:
            if not isinstance(one, classes):
                raise TypeError(f"an item is of the type {type(one).__name__}")
            if within is not None:
                within(one)

    return check
