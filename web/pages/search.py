"""Search: what is known of an id, ending in the answer of `toast why` of each scheduler."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from common import config
from common.cli.operate import explanation, mentions, row_facts
from common.cli.operate.explanation import Explanation
from common.cli.operate.mentions import Mentions
from common.cli.services import UsageError
from common.cli.status import collector
from common.cli.status.collector import Loaded
from common.config import Settings, SettingsError
from common.database import table_access
from common.database.advice import in_a_line
from common.database.session import Session
from common.errors import PassError, naming_limits
from common.logging.redaction import redact_row
from common.scheduling import service_settings
from common.scheduling.scheduler import Scheduler
from web.configured import database_of
from web.site import ANSWER_SECONDS, Asked

MOST_CHARACTERS = 200

_ARE_THERE = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
_HAS_ROW = "SELECT {literal} AS name WHERE EXISTS (SELECT FROM {table} WHERE id = %(row)s)"

# A scheduler that is asked about a row, and its service with its settings.
Ask = tuple[Loaded, Scheduler]


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a row is due for a scheduler, or not: for people, and in ``details`` for programs."""

    service: str
    scheduler: str
    place: str
    verdict: str
    row: str
    conditions: Sequence[tuple[str, str, str]]
    facts: Sequence[tuple[str, Sequence[str]]]
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the id that is asked for, by database, and the answers of schedulers.

    ``unasked`` are schedulers as (service, scheduler) that would ask a server other than
    PostgreSQL; a search with their name does. ``faults`` are why an answer is missing.
    """

    query: str
    mentions: Mapping[str, Mentions]
    answers: Sequence[Answer]
    unasked: Sequence[tuple[str, str]]
    faults: Sequence[str]


def load(asked: Asked) -> Found:
    """Search for ``?q=``; with ``?scheduler=``, ask this one too. Raises UsageError."""
    given = asked.query.get("q", "").strip()
    if len(given) > MOST_CHARACTERS or not given.isprintable():
        raise UsageError(f"q is no id: expected at most {MOST_CHARACTERS} characters of one line")
    if not given:
        return Found("", {}, (), (), ())
    services, faults = asked.site.configured.every()
    known = dict(_mentions(asked, given, faults))
    to_ask = [*_with_row(services, given, faults), *_named(services, asked.query.get("scheduler"))]
    answers = list(_answers(to_ask, given, faults))
    unasked = [
        (service.name, each.name)
        for service, _ in services
        for each in service.schedulers
        if not each.work.due and each.name not in {scheduler.name for _, scheduler in to_ask}
    ]
    return Found(given, known, answers, unasked, faults)


def _mentions(asked: Asked, given: str, faults: list[str]) -> Iterator[tuple[str, Mentions]]:
    """What each database knows."""
    services, _ = asked.site.services_with_settings()
    for name, users in collector.by_database(services).items():
        try:
            with asked.connected(users[0][1]) as connection:
                yield name, mentions.find(connection, asked.site.services, given)
        except (psycopg.Error, PassError) as error:
            if name == asked.site.database.name:
                raise
            faults.append(in_a_line(error, about=name))


def _with_row(services: Sequence[Loaded], given: str, faults: list[str]) -> Iterator[Ask]:
    """The schedulers that have a row of this id in a table, by the role of their service."""
    try:
        row = UUID(given)
    except ValueError:
        return
    by_role: dict[tuple[str, str], list[Loaded]] = {}
    for service, settings in services:
        role = database_of(settings).name, settings[config.DB_USER]
        by_role.setdefault(role, []).append((service, settings))
    # At once: most of the time is taken by the logins, one for each role.
    with naming_limits(), ThreadPoolExecutor(len(by_role) or 1, "search") as pool:
        found = list(pool.map(partial(_of_role, row), by_role.values()))
    for (name, user), asks in zip(by_role, found, strict=True):
        if isinstance(asks, Exception):
            faults.append(in_a_line(asks, about=f"{name} as {user}"))
        else:
            yield from asks


def _of_role(row: UUID, users: Sequence[Loaded]) -> list[Ask] | psycopg.Error | PassError:
    """The same for services that have a role in common, or the error."""
    asks = [(user, each) for user in users for each in user[0].schedulers]
    tables = {name for _, each in asks for name in _tables(each)}
    try:
        with database_of(users[0][1]).connect_for(ANSWER_SECONDS) as connection:
            having = _having(connection, tables, row)
    except (psycopg.Error, PassError) as error:
        return error
    return [ask for ask in asks if _tables(ask[1]) & having]


def _tables(scheduler: Scheduler) -> set[str]:
    """The live tables in which its row could be."""
    return {
        access.table.name
        for access in scheduler.tables
        if scheduler.work.due
        and access.table.columns.get("id") == table_access.UUID
        and "id" in access.select
    }


def _having(connection: Session, tables: Collection[str], row: UUID) -> set[str]:
    """Those of these tables that have a row of this id."""
    there = [each["name"] for each in connection.execute(_ARE_THERE, (sorted(tables),))]
    if not there:
        return set()
    each = [
        sql.SQL(_HAS_ROW).format(literal=sql.Literal(name), table=sql.Identifier(name))
        for name in there
    ]
    found = connection.execute(sql.SQL(" UNION ALL ").join(each), {"row": row})
    return {each["name"] for each in found}


def _named(services: Sequence[Loaded], name: str | None) -> Iterator[Ask]:
    """The scheduler of this name, if it asks another server than PostgreSQL."""
    for loaded in services:
        for each in loaded[0].schedulers:
            if each.name == name and not each.work.due:
                yield loaded, each


def _settings(loaded: Loaded, scheduler: Scheduler) -> Settings:
    """The settings with which the command would explain; also where the scheduler is off, a wrong
    one is an error."""
    service, settings = loaded
    if settings[scheduler.enabled]:
        return settings
    return service_settings.load(service, complete=False, used=[scheduler])


def _answers(to_ask: Iterable[Ask], given: str, faults: list[str]) -> Iterator[Answer]:
    for loaded, scheduler in to_ask:
        try:
            found = explanation.explain(
                scheduler,
                settings := _settings(loaded, scheduler),
                database_of(settings),
                given,
                most_events=mentions.MOST_EVENTS,
                seconds=ANSWER_SECONDS,
            )
        except (UsageError, SettingsError, psycopg.Error, PassError) as error:
            faults.append(in_a_line(error, about=f"{loaded[0].name} {scheduler.name}"))
            continue
        yield _answer(found)


def _answer(found: Explanation) -> Answer:
    reasons = found.reasons
    return Answer(
        found.service,
        found.scheduler.name,
        reasons.place,
        explanation.verdict(reasons),
        row_facts.in_words(redact_row(reasons.shown), reasons.now),
        [explanation.cells(each, reasons) for each in reasons.conditions],
        [(fact.title, fact.lines) for fact in found.facts],
        found.as_dict(),
    )
