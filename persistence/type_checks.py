"""Checks that decoded values have the types that their dataclass declares.

MongoDB stores any type in any field. Without the check, a text in place of a time would
fail long after it was read, together with healthy documents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

#: Remembered combinations of types per dataclass; there are some dozens.
_MAX_TYPES: Final = 1_000


def check_fields(value: Value) -> Value:
    """Returns ``value`` after checking its fields and nested dataclasses.

    A value that is not a dataclass is not checked. Raises TypeError.
    """
    kind: Any = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        _check_of(kind)(value)
    return value


@cache
def _check_of(kind: type[Any]) -> Callable[[Any], None]:
    """The check of a dataclass.

    It takes a microsecond or two: the types of all fields are looked up together among
    the combinations that passed.
    """
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)]
    # With one name ``attrgetter`` returns no tuple, so ``__class__`` is added.
    values_of = attrgetter(*names, "__class__")
    allowed = [_classes(hints[name]) for name in names]
    nested_checks = [
        (place, nested)
        for place, name in enumerate(names)
        if (nested := _nested_check(hints[name])) is not None
    ]
    passed = set[tuple[type, ...]]()

    def check(value: Any) -> None:
        values = values_of(value)
        types = tuple(map(type, values))
        if types not in passed:
            for name, one, classes in zip(names, values, allowed, strict=False):
                if not isinstance(one, classes):
                    raise TypeError(f"{name} is of the type {type(one).__name__}")
            if len(passed) < _MAX_TYPES:
                passed.add(types)
        for place, check_nested in nested_checks:
            if values[place] is not None:
                check_nested(values[place])

    return check


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes allowed for a value of this type."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return tuple(one for arm in get_args(hint) for one in _classes(arm))
    found = origin or hint
    if not isinstance(found, type):
        return (object,)
    return (int, float) if found is float else (found,)


def _nested_check(hint: Any) -> Callable[[Any], None] | None:
    """The check of the values nested in a value of this type, or None."""
    if get_origin(hint) in (Union, UnionType):
        arms = [one for one in get_args(hint) if one is not NoneType]
        return _nested_check(arms[0]) if len(arms) == 1 else None
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        return _check_of_items(get_args(hint)[0])
    return _check_of(hint) if hasattr(hint, "__dataclass_fields__") else None


def _check_of_items(hint: Any) -> Callable[[Any], None]:
    classes, check_nested = _classes(hint), _nested_check(hint)

    def check(values: Any) -> None:
        for one in values:
            if not isinstance(one, classes):
                raise TypeError(f"an item is of the type {type(one).__name__}")
            if check_nested is not None:
                check_nested(one)

    return check
