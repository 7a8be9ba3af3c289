"""Work for one scheduler that only uses the database, and the expected result.

Every due row must be done once and announced once, every other row unchanged.
"""

from collections.abc import Mapping

import workers
from common.scheduling.scheduler import Scheduler
from devservers.child_processes import poll_until
from testing.database import TestDatabase
from testing.scheduler_cases import CASES
from testing.scheduler_rows import Case, Row

# How often a worker changes a row, recorded by a trigger.
AUDIT = """
CREATE TABLE IF NOT EXISTS chaos_changes (at text, id text, operation text);
CREATE OR REPLACE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    touched jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    IF current_setting('application_name') LIKE 'toast-%' THEN
        INSERT INTO chaos_changes
        VALUES (TG_TABLE_NAME, coalesce(touched ->> 'subject_id', touched ->> 'id'), TG_OP);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note AFTER {events} ON {table}
FOR EACH ROW EXECUTE FUNCTION chaos_note()"""
CHANGES = "SELECT id, count(*) AS changes FROM chaos_changes GROUP BY id"

# Rows become due one after another, so that the work takes some batches.
SPREAD = """
UPDATE {table} AS row SET {column} = now() - interval '{age}' + place * interval '{apart} ms'
FROM (SELECT id, row_number() OVER () AS place FROM {table}) AS numbered
WHERE numbered.id = row.id"""

# The row that is inserted besides the due ones and is never due, at any time.
BYSTANDERS: Mapping[str, str] = {
    "post-publisher": "not scheduled",
    "link-expiration": "never expires",
    "item-expiration": "does not expire",
    "stock-level": "one, with no minimum",
    "notification-cleanup": "failed",
    "stream-closer": "ended",
    "webhook-retry": "no attempt left",
    "webhook-cleanup": "pending",
}

BYSTANDER_ROWS = 10

# The column by which a row becomes due, and its age then. The others are due immediately.
DUE_BY: Mapping[str, tuple[str, str]] = {
    "post-publisher": ("published_at", "0"),
    "link-expiration": ("expires_at", "0"),
    "notification-cleanup": ("created_at", "30 days"),
    "message-cleanup": ("created_at", "90 days"),
    "stream-closer": ("updated_at", "24 hours"),
    "webhook-cleanup": ("created_at", "30 days"),
}

# Alerts repeat after their interval, so these passes only come from starts and signals.
ALERTING = ("item-expiration", "stock-level")


def service_of(scheduler: Scheduler) -> str:
    """The service whose worker runs a scheduler."""
    return next(name for name in workers.SERVICES if scheduler in workers.load(name).schedulers)


def only(scheduler: Scheduler, interval: str) -> dict[str, str]:
    """Settings with which its worker runs only this scheduler."""
    siblings = workers.load(service_of(scheduler)).schedulers
    switches = {each.enabled.name: str(each == scheduler).lower() for each in siblings}
    often = {} if scheduler.name in ALERTING else {scheduler.interval.name: interval}
    return {**switches, **often}


class Workload:
    """One scheduler's work in one database; ``due`` has the keys of the expected events."""

    # What its worker needs besides the database.
    settings: Mapping[str, str] = {}
    # Groups of topics: one topic of each group has an event for each key.
    topics: tuple[tuple[str, ...], ...] = ()
    # Milliseconds between the times at which rows become due.
    apart = 10.0

    def __init__(self, scheduler: Scheduler, database: TestDatabase) -> None:
        self.scheduler = scheduler
        self.database = database
        self.due: frozenset[str] = frozenset()

    def fill(self, rows: int) -> None:
        """Make that many rows due, and some that are never due."""
        raise AssertionError("a subclass defines this")

    def undone(self) -> int:
        """How many due rows are not done."""
        raise AssertionError("a subclass defines this")

    def changed_twice(self) -> int:
        """How many changes exceed one for each due row and none for any other."""
        raise AssertionError("a subclass defines this")

    def time_passes(self) -> None:
        """End the waits that follow a kill, such as leases."""

    def wait(self, seconds: float) -> int:
        """Wait until all is done, at most so long; returns how many events still wait."""
        poll_until(lambda: not self.undone() and not self.waiting(), seconds, 0.1)
        return self.waiting()

    def waiting(self) -> int:
        """How many events are in the outbox."""
        return self.database.count("toast_outbox")

    def watch(self, table: str, events: str = "INSERT OR UPDATE OR DELETE") -> None:
        """Record every change of this table, or only these events, from now on."""
        self.database.query(AUDIT.format(table=table, events=events))

    def changes(self) -> Mapping[str, int]:
        """How often each row of the watched table was changed, by its id."""
        return {row["id"]: row["changes"] for row in self.database.query(CHANGES)}

    def ids(self, table: str) -> frozenset[str]:
        """The id of every row."""
        rows = self.database.query(f"SELECT id::text AS id FROM {table}")
        return frozenset(row["id"] for row in rows)


class Rows(Workload):
    """The rows of a scheduler that only uses the database."""

    # How many rows are never due.
    most_bystanders = BYSTANDER_ROWS

    def __init__(self, case: Case, database: TestDatabase) -> None:
        super().__init__(case.scheduler, database)
        self._case = case
        self.bystanders: frozenset[str] = frozenset()
        topics = case.scheduler.topics
        self.topics = (topics,) if self.alerts else tuple((topic,) for topic in topics)

    @property
    def alerts(self) -> bool:
        """Whether it changes only the raised alerts."""
        return self._case.changes == {}

    def fill(self, rows: int) -> None:
        """Insert that many due rows, and some that are never due."""
        case, name = self._case, self.scheduler.name
        case.first_due.insert_many(self.database, rows, case.unique)
        self.due = self.ids(case.table)
        if name in DUE_BY:
            column, age = DUE_BY[name]
            values = {"table": case.table, "column": column, "age": age, "apart": self.apart}
            self.database.query(SPREAD.format(**values))
        stays = case.stays[BYSTANDERS[name]] if name in BYSTANDERS else Row(case.table)
        for _ in range(self.most_bystanders):
            stays.insert(self.database)
        self.bystanders = self.ids(case.table) - self.due
        self.watch("toast_alerts" if self.alerts else case.table)

    def undone(self) -> int:
        table, changes = self._case.table, self._case.changes
        if changes is None:
            return len(self.due & self.ids(table))
        if self.alerts:
            done = "SELECT subject_id::text AS id FROM toast_alerts"
        else:
            fixed = {name: value for name, value in changes.items() if not name.endswith("_at")}
            same = " AND ".join(f"{name} = '{value}'" for name, value in fixed.items())
            done = f"SELECT id::text FROM {table} WHERE {same}"
        return len(self.due - {row["id"] for row in self.database.query(done)})

    def changed_twice(self) -> int:
        changes = self.changes()
        again = sum(max(0, changes.get(row, 0) - 1) for row in self.due)
        return again + sum(changes.get(row, 0) for row in self.bystanders)


# The schedulers that only use the database.
ROWS: Mapping[str, Case] = {case.scheduler.name: case for case in CASES}
