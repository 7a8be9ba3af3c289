"""What every page and action needs: the services, the database, and what was last read from it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from werkzeug.datastructures import MultiDict

from common import config
from common.cli.services import Services
from common.cli.status.collector import Loaded
from common.config import Settings, SettingsError
from common.database import migrations, own_tables
from common.database.advice import in_a_line
from common.database.connection import Database
from common.database.error_classification import connection_lost
from common.database.session import Session
from common.errors import PassError
from web.backlogs import Backlogs
from web.configured import Configured, database_of
from web.dry_runs import DryRuns
from web.past_runs import PastRuns

# Less than the 10 s of a request.
ANSWER_SECONDS = 8.0
# Pages of which the last content is kept, for the time in which PostgreSQL is away.
MOST_KEPT = 64
# The settings with which a service's database is opened, but as the page's role.
_ROLE = (
    *(config.DB_USER, config.DB_PASSWORD),
    *(config.DB_SSL_CERT, config.DB_SSL_KEY, config.DB_SSL_KEY_PASSWORD),
)
_LEVELS = {"none": (), "safe": ("safe",), "all": ("safe", "all")}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked for: ``query`` has the arguments behind the ``?``."""

    site: "Site"
    connection: Session
    query: MultiDict[str, str]

    @contextmanager
    def connected(self, settings: Settings) -> Iterator[Session]:
        """A connection to the database of a service: the page's own, if they share one."""
        database = database_of(settings)
        if database.name == self.site.database.name:
            yield self.connection
            return
        with database.connect_for(ANSWER_SECONDS) as connection:
            migrations.require(connection, own_tables.OPERATING, may_apply=False)
            yield connection


@dataclass(frozen=True, slots=True)
class Known:
    """The content of a page, as read at ``at``.

    ``fault`` is why it could not be read now; ``content`` is then what was last known, or None, and
    ``since`` when PostgreSQL was first found to be away, or None if it answers.
    """

    content: Any
    at: datetime | None
    fault: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Absence:
    """PostgreSQL is away: since when, and why."""

    since: datetime
    fault: str


@dataclass
class Site:
    """The services and the database of one installation; safe to share between threads."""

    services: Services
    settings: Settings
    database: Database
    configured: Configured = field(init=False)
    backlogs: Backlogs = field(init=False)
    # For the drawings of durations, and of results.
    half_hours: PastRuns = field(init=False)
    days: PastRuns = field(init=False)
    dry_runs: DryRuns = field(default_factory=DryRuns, init=False)
    # Of services, schedulers and topics, which are shown whatever a secret looks like.
    names: frozenset[str] = field(init=False)
    _kept: OrderedDict[str, Known] = field(default_factory=OrderedDict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _absence: _Absence | None = field(default=None, init=False)
    # Held by the one request that may wait for PostgreSQL while it is away.
    _waits: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.configured = Configured(self.services)
        every = self.services.every()
        self.names = frozenset(self.services.names).union(
            *({each.name for each in service.schedulers} | {*service.topics} for service in every)
        )
        self.backlogs = Backlogs(self.configured)
        self.half_hours = PastRuns(timedelta(minutes=30), 48)
        self.days = PastRuns(timedelta(days=1), 30)

    def allows(self, level: str) -> bool:
        """Whether WEB_ACTIONS allows actions of this level, ``safe`` or ``all``."""
        return level in _LEVELS[self.settings[config.WEB_ACTIONS]]

    def services_with_settings(self) -> tuple[list[Loaded], list[str]]:
        """Each service with its settings as they are now, but the role of the page; and the
        faults of the others.
        """
        found, faults = self.configured.every()
        return [(each, self._as_the_page(settings)) for each, settings in found], faults

    def service(self, name: str) -> Loaded:
        """One service, in the same way. Raises UsageError and SettingsError."""
        service, settings = self.configured.of(name)
        return service, self._as_the_page(settings)

    def _as_the_page(self, settings: Settings) -> Settings:
        return settings.replaced(_ROLE, self.settings)

    @contextmanager
    def connect(self) -> Iterator[Session]:
        """A connection for one request, aborted after ANSWER_SECONDS.

        Raises psycopg.Error, and PassError if the tables are not there.
        """
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self.database.connect_for(ANSWER_SECONDS))
            except psycopg.Error as error:
                self._is_away(error)
                raise
            self._absence = None
            migrations.require(connection, own_tables.OPERATING, may_apply=False)
            yield connection

    def read(self, place: str, query: MultiDict[str, str], load: Callable[[Asked], Any]) -> Known:
        """The content of the page at ``place``, or what was last known of it.

        While PostgreSQL is away one request at a time waits for it; the others do not.
        """
        may_wait = self._waits.acquire(blocking=False)
        try:
            if not may_wait and (absence := self._absence):
                return self._last_known(place, absence.fault)
            # So that the secrets of all services are known, and not shown.
            self.configured.every()
            with self.connect() as connection:
                known = Known(load(Asked(self, connection, query)), datetime.now(UTC))
        except (psycopg.Error, PassError, SettingsError) as error:
            if isinstance(error, psycopg.Error) and connection_lost(error):
                self._is_away(error)
            return self._last_known(place, in_a_line(error))
        finally:
            if may_wait:
                self._waits.release()
        with self._lock:
            self._kept[place] = known
            self._kept.move_to_end(place)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return known

    def _is_away(self, error: psycopg.Error) -> None:
        with self._lock:
            since = self._absence.since if self._absence else datetime.now(UTC)
            self._absence = _Absence(since, in_a_line(error))

    def _last_known(self, place: str, fault: str) -> Known:
        with self._lock:
            last, absence = self._kept.get(place), self._absence
        since = absence.since if absence else None
        return (
            Known(last.content, last.at, fault, since) if last else Known(None, None, fault, since)
        )
