"""SQL: which deliveries webhook-delivery may send, and which it gives up.

NULL means the same as in the live pool: a ``next_retry_at`` that never comes, a webhook that is
not active. A delivery that is set aside (see delivery_pass.py) is not due.
"""

from datetime import timedelta
from typing import Any

from common.scheduling import Condition, Pass, has_come
from common.scheduling.due.next_due import NextDue, NextDueQuery, moments
from common.scheduling.work import ctid
from common.scheduling.work.batches import Statements
from common.scheduling.work.due_rows import TRIED_AGAIN, DueRows, all_of, not_set_aside
from common.scheduling.work.one_row import OneRow
from workers.webhook.tables import DELIVERIES

DUE_CONDITIONS = (
    Condition("waits for a retry", "delivery.status = 'retrying'"),
    Condition("not deleted", "delivery.deleted_at IS NULL"),
    has_come("next_retry_at has come", "delivery.next_retry_at"),
    not_set_aside("delivery.id"),
)
IS_DUE = all_of(DUE_CONDITIONS)
IS_ACTIVE = "webhook.active AND webhook.deleted_at IS NULL"

_SHOWN = ("id", "webhook_id", "event_type", "attempt_count", "next_retry_at")
_FROM = "webhook_deliveries AS delivery"

# The deliveries that the next pass attempts or gives up, for a dry run.
_DUE = f"SELECT {', '.join(_SHOWN)} FROM {_FROM} WHERE {IS_DUE}"

_HAS_ACTIVE_WEBHOOK = f"""
    EXISTS (SELECT FROM webhook_webhooks AS webhook
            WHERE webhook.id = delivery.webhook_id AND {IS_ACTIVE})"""
_HAS_INACTIVE_WEBHOOK = f"""
    {IS_DUE} AND id <> ALL (%(without)s::uuid[]) AND NOT {_HAS_ACTIVE_WEBHOOK}"""

# Fail the deliveries whose webhook is deleted or inactive, with the live pool's error text.
GIVE_UP = Statements(
    table="webhook_deliveries",
    due=f"SELECT id FROM webhook_deliveries AS delivery WHERE {_HAS_INACTIVE_WEBHOOK}",
    batch=f"""
WITH due AS (
    SELECT id, ctid FROM webhook_deliveries AS delivery
    WHERE {ctid.in_range()} AND {_HAS_INACTIVE_WEBHOOK}
    FOR UPDATE SKIP LOCKED
), given_up AS (
    UPDATE webhook_deliveries AS delivery
    SET status = 'failed', next_retry_at = NULL, last_error = 'Webhook is no longer active',
        updated_at = %(now)s
    WHERE {ctid.same_rows("due")} AND {_HAS_INACTIVE_WEBHOOK}
    RETURNING id
)
SELECT (SELECT count(*) FROM due) AS found, count(*) AS processed, count(*) AS inactive
FROM given_up""",
)

_NEXT_DUE = NextDueQuery((*moments(_FROM, DUE_CONDITIONS), TRIED_AGAIN), f"EXISTS ({_DUE})")


def _parameters(current: Pass) -> dict[str, Any]:
    return {"scheduler": current.scheduler, "now": current.now}


DUE_ROWS = DueRows(_DUE, _parameters, since="next_retry_at")
ONE_ROW = OneRow(
    table=DELIVERIES,
    rows=_FROM,
    alias="delivery",
    conditions=DUE_CONDITIONS,
    # Without an active webhook the next pass gives it up.
    shows=(*_SHOWN, f"{_HAS_ACTIVE_WEBHOOK} AS webhook_is_active"),
    since="next_retry_at",
    parameters=_parameters,
)


def next_due(current: Pass, ahead: timedelta) -> NextDue:
    """When the next delivery will be due, at most ``ahead`` of the pass's time."""
    return _NEXT_DUE.ask(current.connection, {**_parameters(current), "ahead": ahead})
