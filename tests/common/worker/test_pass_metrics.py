"""The metrics of passes that fail, wait, or are left to another machine: real workers again."""

import signal
import time
from datetime import timedelta

import pytest

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from tests.support.expired_links import EXPIRED, insert_expired, slow_down
from tests.support.scrapes import scrape, scrape_after, scrape_until

pytestmark = pytest.mark.usefixtures("only_link_expiration")

LAST_SUCCESS = "toast_job_last_success_timestamp_seconds"


def served(database: TestDatabase, port: int, **settings: str) -> dict[str, str]:
    """The environment of a worker with this port for its metrics."""
    return environment(database, METRICS_PORT=str(port), **settings)


def remember_success(
    database: TestDatabase, ago: timedelta, scheduler: str = "link-expiration"
) -> float:
    """A pass of another process that ended well so long ago; when, as a Unix time."""
    [row] = database.query(
        """
        INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at,
                                result)
        SELECT gen_random_uuid(), %s, %s, 'elsewhere', 1, ended_at - interval '2 s', ended_at, 'ok'
        FROM (SELECT clock_timestamp() - %s AS ended_at) AS pass
        RETURNING extract(epoch FROM finished_at)::float AS time""",
        "notification" if scheduler.startswith("notification") else "link",
        scheduler,
        ago,
    )
    time: float = row["time"]
    return time


def test_what_a_pass_had_done_before_it_failed_is_counted(
    database: TestDatabase, port: int
) -> None:
    database.query(
        "INSERT INTO link_links (original_url, short_code, expires_at, click_count, created_at,"
        " updated_at) SELECT '', n::text, '2026-01-02', 0, now(), now()"
        " FROM generate_series(1, 40000) AS n"
    )
    # The server runs out of something, for which no row is to blame: the whole pass fails.
    database.query("""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN
            PERFORM set_config('temp_file_limit', '0', true), set_config('work_mem', '64kB', true);
            PERFORM FROM generate_series(1, 100000) AS n ORDER BY n DESC;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON link_links FOR EACH ROW
        WHEN (OLD.short_code = '30000') EXECUTE FUNCTION fail()""")
    env = served(database, port)
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_failed")
        database.query("DROP TRIGGER fail ON link_links")
        scraped = scrape_after(port, "link-expiration")
    failed = len(worker.records("pass_failed"))
    [first, *_] = database.query("SELECT counts FROM toast_runs ORDER BY started_at")
    assert 5_000 <= first["counts"]["processed"] < 30_000
    assert scraped.values("toast_job_items_total", "outcome") == {
        "processed": 40_000,
        "events": 40_000,
        "failed": 0,
    }
    assert scraped.value("background_job_failures_total") == failed
    assert scraped.values("background_job_executions_total", "result") == {
        "ok": 1,
        "failed": failed,
        "stopped": 0,
        "skipped": 0,
    }
    assert scraped.value("background_job_duration_seconds_count") == failed + 1
    assert scraped.value("toast_retry_attempts_total", kind="pass") == failed
    assert scraped.value("toast_database_errors_total", kind="other") == failed


def test_after_a_restart_the_last_success_is_still_known(database: TestDatabase, port: int) -> None:
    remember_success(database, timedelta(days=20))
    succeeded_at = remember_success(database, timedelta(hours=3))
    database.query("ALTER TABLE link_links RENAME TO elsewhere")
    with Process("workers.link", env=served(database, port)):
        scraped = scrape_after(port, "link-expiration", "failed", passes=3)
        last_success = scraped.value(LAST_SUCCESS)
        assert last_success == pytest.approx(succeeded_at, abs=0.5)
        assert (scraped.value("toast_job_consecutive_failures") or 0) >= 3
        last_run = scraped.value("toast_job_last_run_timestamp_seconds")
        assert last_run == pytest.approx(time.time(), abs=PATIENCE)
        database.query("ALTER TABLE elsewhere RENAME TO link_links")
        scraped = scrape_after(port, "link-expiration")
        assert scraped.value("toast_job_consecutive_failures") == 0
        assert scraped.value(LAST_SUCCESS) == pytest.approx(time.time(), abs=PATIENCE)


def test_a_scheduler_that_never_succeeded_has_no_last_success(
    database: TestDatabase, port: int
) -> None:
    database.query("ALTER TABLE link_links RENAME TO elsewhere")
    with Process("workers.link", env=served(database, port)):
        scraped = scrape_after(port, "link-expiration", "failed", passes=2)
    assert scraped.value(LAST_SUCCESS) is None
    assert scraped.value("toast_job_interval_seconds", scheduler="link-expiration") == 3600


def test_a_pass_that_another_machine_runs_is_a_success_here_too(
    database: TestDatabase, port: int
) -> None:
    retry = "notification-retry"

    def shows(last_success: float, skipped: int) -> bool:
        scraped = scrape(port)
        executions = "background_job_executions_total"
        shown = scraped.value(LAST_SUCCESS, scheduler=retry)
        return (
            scraped.value(executions, scheduler=retry, result="skipped") == skipped
            and shown is not None
            and abs(shown - last_success) < 0.5
        )

    with database.connect() as other:
        other.execute(f"SELECT pg_advisory_lock(hashtextextended('toast-pass/{retry}', 0))")
        succeeded_at = remember_success(database, timedelta(hours=3), retry)
        with Process("workers.notification", env=served(database, port)) as worker:
            worker.wait_for("pass_finished", scheduler=retry, result="skipped")
            assert poll_until(lambda: shows(succeeded_at, 1), PATIENCE)
            succeeded_at = remember_success(database, timedelta(minutes=2), retry)
            worker.send(signal.SIGUSR1)
            assert poll_until(lambda: shows(succeeded_at, 2), PATIENCE)


def test_a_pass_under_way_shows_and_what_it_waited_for_in_vain(
    database: TestDatabase, port: int
) -> None:
    with database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE link_links")
        with Process("workers.link", env=served(database, port)) as worker:
            scraped = scrape_until(
                port, lambda scraped: scraped.value("toast_job_in_progress") == 1
            )
            assert scraped.value("background_job_duration_seconds_count") == 0
            worker.wait_for("pass_failed")
            holder.rollback()
            scraped = scrape_after(port, "link-expiration")
    assert scraped.value("toast_job_in_progress") == 0
    contended = scraped.value("toast_database_errors_total", kind="contention")
    assert contended == len(worker.records("pass_failed"))


def test_a_pause_that_a_pass_ended_too_early_to_see_stays_shown(
    database: TestDatabase, port: int
) -> None:
    insert_expired(database, 3)
    slow_down(database, "link_links", 3.0)
    with Process("workers.link", env=served(database, port)) as worker:
        assert poll_until(lambda: bool(database.query("SELECT FROM toast_runs")), PATIENCE)
        pause = ("pause", "link", "--for", "1h", "--reason", "a receiver is broken")
        assert toast(*pause, env=environment(database)).code == 0
        scrape_until(port, lambda page: page.value("toast_scheduler_paused") == 1)
        worker.wait_for("pass_finished", result="ok")
        assert scrape(port).value("toast_scheduler_paused") == 1


def test_servers_that_are_away_are_counted(database: TestDatabase, port: int) -> None:
    env = served(database, port, DB_PORT="1")
    with Process("workers.link", env=env) as worker:
        worker.wait_for("publish_failed")
        scraped = scrape_after(port, "link-expiration", "failed", passes=2)
        # Passes, and the publisher too.
        assert (scraped.value("toast_database_errors_total", kind="connection") or 0) >= 3
        assert scraped.value("toast_clock_difference_seconds") is None
        assert worker.stop() == 0

    database.insert("link_links", expires_at=EXPIRED)
    # Only at debug has every round a line; it is counted just before that.
    with Process("workers.link", env=served(database, port, LOG_LEVEL="debug")) as worker:
        worker.wait_for("publish_failed")
        before = len(worker.records("publish_failed"))
        scraped = scrape(port)
        after = len(worker.records("publish_failed")) + 1
        assert before <= (scraped.value("toast_kafka_errors_total") or 0) <= after
        assert scraped.value("toast_events_published_total", topic="link.expired") == 0


def test_a_clock_that_is_wrong_shows(database: TestDatabase, port: int) -> None:
    database.query(f"""
        CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
        $$ SELECT pg_catalog.clock_timestamp() + interval '90 seconds' $$;
        ALTER DATABASE {database.name} SET search_path = public, pg_catalog""")
    with Process("workers.link", env=served(database, port)):
        scraped = scrape_after(port, "link-expiration")
    assert scraped.value("toast_clock_difference_seconds") == pytest.approx(90, abs=2)
    succeeded_at = scraped.value(LAST_SUCCESS)
    assert succeeded_at == pytest.approx(time.time(), abs=PATIENCE)

    # Times of the run history are converted to this host's clock, which Prometheus compares with.
    database.query("ALTER TABLE link_links RENAME TO elsewhere")
    with Process("workers.link", env=served(database, port)):
        scraped = scrape_after(port, "link-expiration", "failed")
    assert scraped.value(LAST_SUCCESS) == pytest.approx(succeeded_at, abs=5)
