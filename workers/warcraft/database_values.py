"""Values for the database, whose encoding may lack characters of Battle.net's replies."""

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from psycopg.types.json import Jsonb

from common.database.session import Session

T = TypeVar("T")


def storable(session: Session, value: T) -> T:
    """The value with every text in it, at any depth, as the database can hold it."""
    changed: Any = value
    if isinstance(value, str):
        changed = session.storable(value)
    elif isinstance(value, list | tuple):
        changed = type(value)(storable(session, each) for each in value)
    elif isinstance(value, dict):
        changed = {name: storable(session, each) for name, each in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        changed = replace(value, **storable(session, parts))
    result: T = changed
    return result


def to_jsonb(value: object) -> Jsonb | None:
    """The value as jsonb, None as NULL.

    It is not escaped to ASCII, because most encodings reject \\u escapes.
    """
    return None if value is None else Jsonb(value, dumps=_dumps)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
