"""Changes all texts of a structure at once: of rows, lists and dataclasses."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

T = TypeVar("T")

# The types of most values, looked up first because that is the quickest.
_NO_TEXTS = frozenset((bool, int, float, type(None), datetime, timedelta, UUID))


def change_texts(value: T, change: Callable[[str], str]) -> T:
    """The value, or a copy of it with every text at any depth as ``change`` returns it."""
    changed: T = _changed(value, change)
    return changed


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if type(value) in _NO_TEXTS:
        return value
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_changed(key, change): _changed(each, change) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(_changed(each, change) for each in value)
    if isinstance(value, list | tuple):
        return type(value)(_changed(each, change) for each in value)
    if dataclasses.is_dataclass(value):
        return _of_fields(value, change)
    return value


def _of_fields(value: Any, change: Callable[[str], str]) -> Any:
    changed = {}
    for name in _names_of_fields(value.__class__):
        old = getattr(value, name)
        new = _changed(old, change)
        if new is not old:
            changed[name] = new
    return dataclasses.replace(value, **changed) if changed else value


@cache
def _names_of_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(kind))
