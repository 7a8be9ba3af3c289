"""The first pass ever of a scheduler: it says that it is large, and waits if it is to ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.config import Settings
from common.database import run_history
from common.database.connection import Database
from common.database.run_history import Run
from common.scheduling import first_pass
from common.scheduling.first_pass import Takeover
from common.scheduling.pass_runner import PassRunner
from testing.database import TestDatabase
from tests.support.expired_links import insert_expired
from tests.support.probes import settings
from workers.link import link_expiration

LINKS = 3
LARGE = "more than 1,000 rows are due"
GOES_ON = f"its first pass goes on: {LARGE} (TOAST_FIRST_PASS=go)"
WAITS = f"waits for `toast takeover link`: {LARGE} for its first pass (TOAST_FIRST_PASS=ask)"


@pytest.fixture
def database(module_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    """One database for all tests here, with more links than a small first pass may have."""
    monkeypatch.setattr(first_pass, "LARGE", LINKS - 1)
    module_database.query(
        "DELETE FROM toast_runs; DELETE FROM link_links; DELETE FROM toast_outbox"
    )
    insert_expired(module_database, LINKS)
    return module_database


@pytest.fixture
def go(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings(database, monkeypatch)


@pytest.fixture
def ask(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings(database, monkeypatch, TOAST_FIRST_PASS="ask")


def runner(loaded: Settings, **keywords: Any) -> PassRunner:
    return PassRunner(link_expiration.SCHEDULER, loaded, Database(loaded), **keywords)


def outcome(run: Run) -> tuple[str, str, int]:
    return run.result, run.error, run.counts["processed"]


def test_a_large_first_pass_says_so_and_goes_on(
    go: Settings, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    worker = runner(go)
    assert outcome(worker.run()) == ("ok", GOES_ON, LINKS)
    assert caplog.messages.count("large_first_pass_found") == 1

    database.query("UPDATE link_links SET is_active = true")
    assert outcome(worker.run()) == ("ok", "", LINKS)
    assert caplog.messages.count("large_first_pass_found") == 1


def test_it_waits_for_the_takeover_and_then_goes_on_by_itself(
    ask: Settings, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    worker = runner(ask)
    for _ in range(2):
        assert outcome(worker.run()) == ("skipped", WAITS, 0)
    assert caplog.messages.count("large_first_pass_found") == 1
    assert (database.count("link_links WHERE is_active"), database.count("toast_outbox")) == (3, 0)

    assert outcome(runner(ask, takeover=Takeover(timedelta())).run()) == ("ok", "", LINKS)
    database.query("UPDATE link_links SET is_active = true")
    assert outcome(worker.run()) == ("ok", "", LINKS)
    assert database.count("toast_outbox") == LINKS


def test_a_small_first_pass_is_like_any_other(ask: Settings, database: TestDatabase) -> None:
    database.query("DELETE FROM link_links WHERE short_code = '1'")
    assert outcome(runner(ask).run()) == ("ok", "", LINKS - 1)


def test_rows_that_cannot_be_counted_in_time_are_many(
    ask: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_pass, "_COUNT_LIMITS", {"statement_timeout": "100ms"})
    with database.connect() as other, other.transaction():
        other.execute("LOCK TABLE toast_failed_rows")
        assert outcome(runner(ask).run()) == ("skipped", WAITS, 0)


@pytest.mark.parametrize("of_takeover", [False, True])
def test_a_worker_and_a_takeover_do_not_run_their_first_passes_at_once(
    of_takeover: bool, go: Settings, database: TestDatabase
) -> None:
    takeover = Takeover(timedelta())
    with database.session() as other:
        with other.try_lock("toast-first-pass/link-expiration", shared=of_takeover):
            skipped = runner(go, takeover=takeover if of_takeover else None).run()
            who = "a worker" if of_takeover else "`toast takeover`"
            assert skipped.error == f"{who} runs the first pass of link-expiration"
        # Two workers share the work.
        with other.try_lock("toast-first-pass/link-expiration", shared=True):
            assert runner(go).run().result == "ok"


def test_the_last_success_is_remembered_for_ever(go: Settings, database: TestDatabase) -> None:
    runner(go).run()
    database.query("UPDATE toast_runs SET started_at = started_at - interval '1 year'")
    with database.session() as session:
        for result in ("failed", "stopped"):
            Run("link", "link-expiration", result=result).record_end(session)
        assert run_history.last_success(session, "link", "link-expiration")
    results = database.query("SELECT result FROM toast_runs ORDER BY 1")
    assert [row["result"] for row in results] == ["failed", "ok", "stopped"]
