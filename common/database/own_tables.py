"""Our own tables, which all workers share, and how they use them.

Every worker has EVERY_WORKER, and PUBLISHING if it has topics. A scheduler declares
SETTING_ROWS_ASIDE and ALERTS itself if it needs them.
"""

from common.database.table_access import Table, TableAccess

MIGRATIONS = Table("toast_migrations")
RUNS = Table("toast_runs")
FAILED_ROWS = Table("toast_failed_rows")
OUTBOX = Table("toast_outbox")
OUTBOX_SET_ASIDE = Table("toast_outbox_set_aside")
AUDIT = Table("toast_audit")
PAUSES = Table("toast_pauses")
TRIGGERS = Table("toast_triggers")

_EVENT = ("service", "topic", "key", "event_id", "occurred_at", "payload")
_RUN = ("id", "service", "scheduler", "host", "process", "started_at")
# Only operators read them.
_MACHINE = ("version", "clock_ahead")
_OUTCOME = ("finished_at", "result", "counts", "error", "next_at")
ACTION = ("login", "host", "action", "subject", "rows", "first_rows", "reason")
_PAUSE = ("until", "reason", "paused_by", "host", "paused_at")
TRIGGER = ("service", "scheduler", "host", "process", "requested_at")
_FAILURE = ("reason", "failures", "failed_at", "grace", "retry_at")

# The run history, pauses and triggers, the sampled metrics, and `toast status`.
EVERY_WORKER = (
    TableAccess(MIGRATIONS, select=("number",)),
    TableAccess(
        RUNS,
        select=(*_RUN, *_OUTCOME),
        insert=(*_RUN, *_MACHINE, *_OUTCOME),
        update=_OUTCOME,
        delete=True,
        unique=(("id",),),
    ),
    TableAccess(FAILED_ROWS, select=("scheduler", "failed_at", "since", "grace")),
    TableAccess(OUTBOX, select=("id", "service", "occurred_at")),
    TableAccess(OUTBOX_SET_ASIDE, select=("service",)),
    TableAccess(TRIGGERS, select=TRIGGER, delete=True),
    TableAccess(PAUSES, select=("service", "scheduler", *_PAUSE)),
)

# Adding and publishing events, and setting aside those that the broker refuses for good.
PUBLISHING = (
    TableAccess(
        OUTBOX,
        select=("id", *_EVENT, "tries", "retry_at"),
        insert=_EVENT,
        update=("tries", "retry_at", "error"),
        delete=True,
    ),
    # It reads them for `toast why`.
    TableAccess(
        OUTBOX_SET_ASIDE,
        select=("id", "topic", "key", "occurred_at", "error", "set_aside_at"),
        insert=("id", *_EVENT, "tries", "error", "set_aside_at"),
    ),
)

SETTING_ROWS_ASIDE = TableAccess(
    FAILED_ROWS,
    select=("scheduler", "row_id", "since", *_FAILURE),
    insert=("scheduler", "row_id", "since", *_FAILURE),
    update=_FAILURE,
    delete=True,
    unique=(("scheduler", "row_id"),),
)

# What the commands of operators use beside.
OPERATING = (*EVERY_WORKER, TableAccess(AUDIT, select=("done_at", "role", *ACTION), insert=ACTION))

# Storing the alerts that were raised.
ALERTS = TableAccess(
    Table("toast_alerts"),
    select=("ctid", "scheduler", "subject_id", "facts", "raised_at"),
    insert=("scheduler", "subject_id", "facts", "raised_at"),
    update=("facts", "raised_at"),
    delete=True,
    unique=(("scheduler", "subject_id"),),
)
