"""What real workers send to Sentry, what they never send, and that nothing waits for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from common.errors import PassError
from common.version import VERSION
from common.worker import sentry
from common.worker.sentry import Reports
from devservers.child_processes import PATIENCE, poll_until
from devservers.sentry import KEY, SentryServer
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from testing.scheduler_cases.link import link
from tests.support.probes import settings

pytestmark = pytest.mark.usefixtures("only_link_expiration")

SECRET = "b7Kp3xQz91vLm4"

# Every statement fails, with a row and a secret in its error.
REFUSE = """
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    RAISE EXCEPTION 'row {row} refused, password={secret}'
        USING DETAIL = 'Failing row contains (cfd1-{secret})';
END $$;
CREATE OR REPLACE TRIGGER refuse BEFORE UPDATE ON link_links
FOR EACH STATEMENT EXECUTE FUNCTION refuse()"""
# What a worker logs in these tests when Sentry gives it no trouble.
EXPECTED = {
    *("worker_started", "scheduler_started", "pass_finished", "pass_failed", "events_published"),
    *("publish_failed", "migration_applied", "stop_requested", "scheduler_stopped"),
    "worker_stopped",
}
ALLOW = "DROP TRIGGER refuse ON link_links"


@pytest.fixture
def server() -> Iterator[SentryServer]:
    with SentryServer() as server:
        yield server


def refuse(database: TestDatabase, row: int) -> None:
    database.query(REFUSE.format(row=row, secret=SECRET))


def worker(database: TestDatabase, dsn: str) -> Process:
    """toast-link, passing every 100 ms, and reporting to this DSN."""
    return Process(
        "workers.link",
        env=environment(
            database, SENTRY_DSN=dsn, ENVIRONMENT="staging", LINK_EXPIRATION_INTERVAL="100ms"
        ),
    )


def names(process: Process) -> list[str]:
    """The events of its log; a line that is no record of ours counts as an event, too."""
    lines = process.log.splitlines()
    return [json.loads(line)["event"] if line.startswith("{") else line for line in lines]


def of_type(server: SentryServer, name: str) -> list[dict[str, Any]]:
    """The events about an exception of this type."""
    return [
        event
        for event in server.events
        if "exception" in event and event["exception"]["values"][-1]["type"] == name
    ]


def test_a_failed_pass_is_an_event_with_all_that_leads_to_it(
    database: TestDatabase, server: SentryServer
) -> None:
    link().insert(database)
    refuse(database, row=17)
    with worker(database, server.dsn) as process:
        failed = process.wait_for("pass_failed")
        server.wait_for(lambda: server.events)

    event = server.events[0]
    assert event["level"] == "error"
    assert event["tags"] == {
        "service": "link",
        "scheduler": "link-expiration",
        "run_id": failed["run_id"],
    }
    assert event["fingerprint"] == ["link", "link-expiration", "RaiseException P0001"]
    assert (event["release"], event["environment"]) == (f"toast-workers@{VERSION}", "staging")
    exception = event["exception"]["values"][-1]
    assert exception["type"] == "RaiseException"
    assert exception["value"] == "row 17 refused, password=***"
    assert exception["stacktrace"]["frames"][-1]["function"] == "execute"


def test_no_secret_no_row_and_no_variable_is_in_anything_that_is_sent(
    database: TestDatabase, server: SentryServer
) -> None:
    link().insert(database)
    refuse(database, row=1)
    with worker(database, server.dsn) as process:
        server.wait_for(lambda: server.events)
        assert process.stop() == 0

    sent = b"\n".join(server.bodies)
    for secret in (SECRET, database.environment["DB_PASSWORD"], "Failing row"):
        assert secret.encode() not in sent
    assert KEY.encode() not in b"\n".join(body.partition(b"\n")[2] for body in server.bodies)
    for event in server.events:
        assert "breadcrumbs" not in event or not event["breadcrumbs"]["values"]
        for exception in event["exception"]["values"]:
            for frame in exception["stacktrace"]["frames"]:
                assert not {"vars", "context_line", "pre_context", "post_context"} & frame.keys()


def test_a_loop_that_fails_all_the_time_is_reported_once_per_cause(
    database: TestDatabase, server: SentryServer
) -> None:
    link().insert(database)
    refuse(database, row=1)
    with worker(database, server.dsn) as process:
        process.wait_for("pass_failed", count=2)
        refuse(database, row=2)
        process.wait_for("pass_failed", count=5)
        database.query(ALLOW)
        database.query("ALTER TABLE link_links RENAME COLUMN short_code TO code")
        server.wait_for(lambda: of_type(server, "UndefinedColumn"))
        assert process.stop() == 0

    assert [event["exception"]["values"][0]["type"] for event in server.events] == [
        "RaiseException",
        "UndefinedColumn",
    ]


def test_after_ten_minutes_it_is_reported_again_with_how_often_it_came(
    server: SentryServer, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentry, "REPEAT_SECONDS", 0.3)
    reports = Reports(settings(database, monkeypatch, SENTRY_DSN=server.dsn))
    for number in range(4):
        reports.failure(PassError(f"nothing answers: number {number}"), scheduler="probe")
    server.wait_for(lambda: len(server.events) == 1)

    def reported_again() -> bool:
        reports.failure(PassError("nothing answers: at all"), scheduler="probe")
        reports.flush()
        return len(server.events) == 2

    assert poll_until(reported_again, PATIENCE)
    first, second = server.events
    assert first["fingerprint"] == second["fingerprint"]
    assert first["extra"]["repeated_since_last_report"] == 0
    assert second["extra"]["repeated_since_last_report"] >= 3


def test_rows_that_fail_are_a_warning_about_their_scheduler(
    database: TestDatabase, server: SentryServer
) -> None:
    link(title="poison").insert(database)
    database.query(REFUSE.format(row=0, secret=SECRET).replace("EACH STATEMENT", "EACH ROW"))
    with worker(database, server.dsn):
        server.wait_for(lambda: server.events)

    event = server.events[0]
    assert event["level"] == "warning"
    assert event["fingerprint"] == ["link", "link-expiration", "items failed"]
    assert event["message"].startswith("1 items of a pass failed: link_links ")


def test_a_paused_scheduler_checks_in_too(database: TestDatabase, server: SentryServer) -> None:
    pause = ("pause", "link", "--indefinitely", "--reason", "why")
    assert toast(*pause, env=environment(database)).code == 0
    with worker(database, server.dsn) as process:
        process.wait_for("pass_finished", result="skipped")
        server.wait_for(lambda: len(server.check_ins) == 2)
    assert [each["status"] for each in server.check_ins] == ["in_progress", "ok"]


def test_every_scheduler_checks_in_with_a_monitor_of_its_own(
    database: TestDatabase, server: SentryServer
) -> None:
    env = environment(database, SENTRY_DSN=server.dsn, MESSAGE_CLEANUP_INTERVAL="673h")
    with Process("workers.twitchbot", env=env) as process:
        server.wait_for(lambda: len(server.check_ins) == 4)
        assert process.stop() == 0

    by_slug: dict[str, list[dict[str, Any]]] = {}
    for check_in in server.check_ins:
        by_slug.setdefault(check_in["monitor_slug"], []).append(check_in)
    assert by_slug.keys() == {"toast-twitchbot-message-cleanup", "toast-twitchbot-stream-closer"}
    for begun, ended in by_slug.values():
        assert (begun["status"], ended["status"]) == ("in_progress", "ok")
        assert begun["check_in_id"] == ended["check_in_id"]
        assert ended["duration"] > 0
    assert by_slug["toast-twitchbot-stream-closer"][0]["monitor_config"] == {
        "schedule": {"type": "interval", "value": 60, "unit": "minute"},
        "checkin_margin": 61,
        "max_runtime": 60,
        "timezone": "UTC",
    }
    # An hour more than the 28 days that Sentry allows.
    assert by_slug["toast-twitchbot-message-cleanup"][0]["monitor_config"] == {
        "schedule": {"type": "interval", "value": 40_320, "unit": "minute"},
        "checkin_margin": 40_320,
        "max_runtime": 40_320,
        "timezone": "UTC",
    }


def test_a_failed_pass_checks_in_as_an_error_and_at_most_once_a_minute(
    database: TestDatabase, server: SentryServer
) -> None:
    link().insert(database)
    refuse(database, row=1)
    with worker(database, server.dsn) as process:
        process.wait_for("pass_failed", count=4)
        server.wait_for(lambda: len(server.check_ins) >= 2)
        assert process.stop() == 0

    assert [check_in["status"] for check_in in server.check_ins] == ["in_progress", "error"]
    assert server.check_ins[0]["monitor_config"]["schedule"]["value"] == 1


def test_what_waits_is_sent_before_the_process_ends(
    database: TestDatabase, server: SentryServer
) -> None:
    with Process("workers.link", env=environment(database, SENTRY_DSN=server.dsn)) as process:
        process.wait_for("pass_finished")
        assert process.stop() == 0
        assert [check_in["status"] for check_in in server.check_ins] == ["in_progress", "ok"]


@pytest.mark.parametrize("answer", [None, 429, 500], ids=["no answer", "429", "500"])
def test_a_sentry_that_is_in_trouble_changes_nothing(
    answer: int | None, database: TestDatabase
) -> None:
    link().insert(database)
    with SentryServer(answer=answer) as server, worker(database, server.dsn) as process:
        process.wait_for("pass_finished", processed=1)
        refuse(database, row=1)
        link().insert(database)
        process.wait_for("pass_failed", count=2)
        database.query(ALLOW)
        process.wait_for("pass_finished", processed=1, count=2)
        assert process.stop() == 0
        assert set(names(process)) <= EXPECTED


def test_a_sentry_that_cannot_be_reached_changes_nothing(database: TestDatabase) -> None:
    with worker(database, f"http://{KEY}@127.0.0.1:1/42") as process:
        process.wait_for("pass_finished", count=3)
        assert process.stop() == 0
        assert set(names(process)) <= EXPECTED


def test_an_invalid_dsn_is_a_fault_of_the_settings(database: TestDatabase) -> None:
    for dsn in (SECRET, f"https://{SECRET}@sentry.example.org/", "ftp://key@host/1"):
        done = toast("run", "link", env=environment(database, SENTRY_DSN=dsn))
        assert done.code == 78
        assert done.err.startswith("SENTRY_DSN in the environment is (hidden); expected the DSN")
        assert SECRET not in done.err


def test_without_a_dsn_the_sdk_is_not_even_loaded(database: TestDatabase) -> None:
    program = """
import sys
import workers
from common import config
from common.worker import sentry, worker_process
service = workers.load("link")
settings = config.load("link", service.variables)
worker_process.Worker(service, settings, sentry.start(settings))
print("sentry_sdk" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(database),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
