"""A command that is killed at its write leaves no half action: no effect, and no record of one."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from tests.support.outbox_rows import add_event, set_aside

pytestmark = pytest.mark.usefixtures("only_link_expiration")

# Every action that is recorded, and as what. Those of `toast takeover` are passes.
ACTIONS = {
    "pause": "pause link --for 2h --reason why",
    "resume": "resume link",
    "trigger": "trigger link --no-wait",
    "rows retry": "rows retry --all",
    "rows drop": "rows drop --all --yes",
    "outbox retry": "outbox retry --all",
    "outbox drop": "outbox drop --all --yes",
    "migrate": "migrate",
}

OURS = """
SELECT relname::text AS name FROM pg_class
WHERE relkind = 'r' AND relname LIKE 'toast\\_%' AND relname <> 'toast_runs' ORDER BY 1"""


def state(database: TestDatabase) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of ours, but the run history."""
    names = [row["name"] for row in database.query(OURS)]
    return {name: database.query(f"SELECT * FROM {name} AS one ORDER BY one") for name in names}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_killed_command_leaves_no_half_action(action: str, database: TestDatabase) -> None:
    set_aside(database, add_event(database))
    database.insert(
        "toast_failed_rows",
        scheduler="link-expiration",
        row_id=UUID(int=1),
        failures=1,
        retry_at=datetime.now(UTC) + timedelta(hours=1),
    )
    env, words = environment(database), ACTIONS[action].split()
    with ExitStack() as stack:
        if action == "trigger":
            stack.enter_context(Process("workers.link", env=env)).wait_for("pass_finished")
        if action == "resume":
            toast(*ACTIONS["pause"].split(), env=env)
        if action == "migrate":
            database.query("DELETE FROM toast_migrations WHERE name = '0010_triggers'")
            database.query("DROP TABLE toast_triggers")
        before = state(database)

        killed = toast(*words, env={**env, "TOAST_FAILPOINT": "commit"})
        assert (killed.code, state(database)) == (-signal.SIGKILL, before)

        assert toast(*words, env=env).code == 0
        after = state(database)
    assert after.pop("toast_audit")[-1]["action"].startswith(action)
    assert len(database.query("SELECT FROM toast_audit")) == len(before.pop("toast_audit")) + 1
    assert after != before or action == "trigger"  # which the worker has taken
