"""The actions: each is a plain form that is posted, and a line in the audit."""

from web.actions import schedulers, set_aside
from web.actions.action import Action

_SCHEDULER = "/schedulers/<service>/<scheduler>"

ACTIONS = (
    Action("pause", f"{_SCHEDULER}/pause", "safe", schedulers.pause),
    Action("resume", f"{_SCHEDULER}/resume", "safe", schedulers.resume),
    Action("run_now", f"{_SCHEDULER}/run-now", "safe", schedulers.run_now),
    Action("dry_run", f"{_SCHEDULER}/try", "safe", schedulers.dry_run),
    Action("rows_retry", "/rows/retry", "safe", set_aside.retry_rows),
    Action("rows_drop", "/rows/drop", "all", set_aside.drop_rows),
    Action("outbox_retry", "/outbox/retry", "safe", set_aside.retry_events),
    Action("outbox_drop", "/outbox/drop", "all", set_aside.drop_events),
)
