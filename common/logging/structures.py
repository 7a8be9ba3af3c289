"""Removes secrets from all texts of a structure at once: of rows, lists and dataclasses."""

import dataclasses
from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from common.logging.redaction import redact

T = TypeVar("T")

# Most values, told at once.
_NO_TEXTS = frozenset((bool, int, float, type(None), datetime, timedelta, UUID))


class _Texts(dict[str, str]):
    """Each text without secrets; looked at once, because most are in many rows."""

    def __init__(self, public: Container[str]) -> None:
        self._public = public

    def __missing__(self, text: str) -> str:
        hidden = self[text] = text if text in self._public else redact(text)
        return hidden


def redact_all(value: T, public: Container[str] = ()) -> T:
    """The value, or a copy of it without secrets.

    Texts that are ``public`` as a whole stay, such as names by which others find a thing.
    """
    redacted: T = _redacted(value, _Texts(public))
    return redacted


def _redacted(value: Any, texts: _Texts) -> Any:
    if type(value) in _NO_TEXTS:
        return value
    if isinstance(value, str):
        return texts[value]
    if isinstance(value, Mapping):
        return {_redacted(key, texts): _redacted(each, texts) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(_redacted(each, texts) for each in value)
    if isinstance(value, list | tuple):
        return type(value)(_redacted(each, texts) for each in value)
    if dataclasses.is_dataclass(value):
        return _of_fields(value, texts)
    return value


def _of_fields(value: Any, texts: _Texts) -> Any:
    changed = {}
    for name in _names_of_fields(value.__class__):
        old = getattr(value, name)
        new = _redacted(old, texts)
        if new is not old:
            changed[name] = new
    return dataclasses.replace(value, **changed) if changed else value


@cache
def _names_of_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(kind))
