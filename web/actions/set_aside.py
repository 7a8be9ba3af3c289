"""Retry and drop what was set aside: rows and events, those that are ticked or all that match."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from flask import g

from common.cli.operate import events, failed_rows
from common.cli.operate.action import Done
from common.cli.services import UsageError
from common.database.audit import Operator
from web.pages import failed, outbox
from web.site import Asked

T = TypeVar("T", UUID, int)


def retry_rows(asked: Asked) -> str:
    """Let the next pass try the rows again."""
    return _rows(asked, "will be tried again", failed_rows.retry)


def drop_rows(asked: Asked) -> str:
    """Let no pass try the rows again."""
    _require_certainty(asked)
    return _rows(asked, "will not be tried again", failed_rows.drop)


def retry_events(asked: Asked) -> str:
    """Put the events back into the outbox."""
    return _events(asked, "will be published", events.retry)


def drop_events(asked: Asked) -> str:
    """Delete the events."""
    _require_certainty(asked)
    return _events(asked, "deleted", events.drop)


def _rows(asked: Asked, now: str, change: Callable[..., Done]) -> str:
    chosen = failed.chosen(asked, asked.query.get("service"), _ticked(asked, UUID))
    return _in_words("row", now, change(asked.connection, Operator(g.login), chosen))


def _events(asked: Asked, now: str, change: Callable[..., Done]) -> str:
    chosen = outbox.chosen(asked, _ticked(asked, int))
    return _in_words("event", now, change(asked.connection, Operator(g.login), chosen))


def _ticked(asked: Asked, kind: Callable[[str], T]) -> Sequence[T] | None:
    """The ids that are ticked; None for all that match. Raises UsageError if there are none."""
    if asked.query.get("which") == "all":
        return None
    try:
        ids = [kind(each) for each in asked.query.getlist("id")]
    except ValueError:
        raise UsageError("an id is not one of this page; open the page again") from None
    if not ids:
        raise UsageError("nothing is ticked; tick some, or choose all that match")
    return ids


def _require_certainty(asked: Asked) -> None:
    if asked.query.get("which") == "all" and not asked.query.get("certain"):
        raise UsageError("nothing is dropped: tick that you are certain to drop all that match")


def _in_words(noun: str, now: str, done: Done) -> str:
    count = done.changed.count
    changed = f"{count:,} {noun}{'' if count == 1 else 's'} {now}"
    return "; ".join((changed, *done.refused))
