"""Rows that cannot be changed: set aside with their reason, they cost no other row anything.

The scheduler is link-expiration; walk and book-keeping are those of every one.
"""

from datetime import datetime, timedelta
from random import Random
from uuid import uuid4

from common.database import failed_rows as aside
from common.database import migrations
from common.scheduling.scheduler import PassResult
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MICROSECOND, MINUTE, NOW, failed_rows, outbox, run_pass
from testing.scheduler_cases.link import link
from tests.support.row_faults import refusal
from workers.link import link_expiration

EXPIRATION = link_expiration.SCHEDULER

REFUSE = refusal("UPDATE ON link_links", "new.title = 'poison'", message="refused this link")

# Rows that are bad without being changed, which would move them.
IS_BAD = """
CREATE TABLE poisoned (id uuid PRIMARY KEY);
CREATE FUNCTION is_bad(uuid) RETURNS boolean LANGUAGE sql AS
$$ SELECT EXISTS (SELECT FROM poisoned WHERE id = $1) $$"""
# A sequence counts what is rolled back, too.
COUNT_ATTEMPTS = """
CREATE SEQUENCE attempts;
CREATE FUNCTION attempt() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM nextval('attempts'); RETURN new; END $$;
CREATE TRIGGER attempt BEFORE UPDATE ON link_links FOR EACH ROW EXECUTE FUNCTION attempt()"""
ROWS = 1_000

ACTIVE = "SELECT id FROM link_links WHERE is_active"


def test_a_row_that_cannot_be_changed_is_set_aside_with_its_reason(database: TestDatabase) -> None:
    good = [link().insert(database)["id"] for _ in range(3)]
    bad = link(title="poison").insert(database)
    good += [link().insert(database)["id"] for _ in range(3)]
    database.query(REFUSE)

    result = run_pass(database, EXPIRATION)

    assert (result.processed, result.events, result.failed) == (6, 6, 1)
    assert result.note == f"link_links {bad['id']}: RaiseException: refused this link"
    assert sorted(event["key"] for event in outbox(database)) == sorted(map(str, good))
    assert database.query("SELECT * FROM link_links WHERE is_active") == [bad]
    assert failed_rows(database) == [
        {
            "scheduler": "link-expiration",
            "row_id": bad["id"],
            "reason": "RaiseException: refused this link",
            "failures": 1,
            "failed_at": NOW,
            "since": NOW,
            "grace": timedelta(0),
            "retry_at": NOW + 10 * MINUTE,
        }
    ]


def test_bad_rows_in_a_backlog_do_not_affect_the_others(database: TestDatabase) -> None:
    link().insert_many(database, 5_500, unique="short_code")
    bad = [link(title="poison").insert(database)["id"] for _ in range(3)]
    link().insert(database)
    database.query(REFUSE)

    result = run_pass(database, EXPIRATION)

    assert (result.processed, result.events, result.failed) == (5_501, 5_501, 3)
    assert {row["id"] for row in database.query(ACTIVE)} == set(bad)
    assert {row["row_id"] for row in failed_rows(database)} == set(bad)


def test_any_pattern_of_bad_rows_is_found(database: TestDatabase) -> None:
    link().insert_many(database, ROWS, unique="short_code")
    database.query(IS_BAD)
    dice = Random(26)
    order = [row["id"] for row in database.query("SELECT id FROM link_links ORDER BY ctid")]
    # All good at first, then ever more, up to all.
    bad = {row for place, row in enumerate(order) if dice.random() < (place / ROWS) ** 3 * 1.3}
    database.query("INSERT INTO poisoned SELECT unnest(%s::uuid[])", list(bad))
    database.query(REFUSE.replace("new.title = 'poison'", "is_bad(new.id)"))

    result = run_pass(database, EXPIRATION)

    assert (result.processed, result.failed) == (ROWS - len(bad), len(bad))
    assert {row["row_id"] for row in failed_rows(database)} == bad
    assert {row["id"] for row in database.query(ACTIVE)} == bad


def test_a_row_set_aside_is_passed_over_until_its_time_then_done_and_forgotten(
    database: TestDatabase,
) -> None:
    bad = link(title="poison").insert(database)["id"]
    database.query(REFUSE)
    run_pass(database, EXPIRATION)
    database.query("DROP TRIGGER refuse ON link_links")
    retry_at = NOW + 10 * MINUTE

    assert processed_at(database, retry_at - MINUTE) == 0
    assert [row["row_id"] for row in failed_rows(database)] == [bad]

    assert processed_at(database, retry_at) == 1
    assert failed_rows(database) == []


def test_rows_that_failed_before_are_tried_apart_from_the_others(database: TestDatabase) -> None:
    for _ in range(20):
        link(title="poison").insert(database)
    database.query(REFUSE)
    assert run_pass(database, EXPIRATION).failed == 20
    link().insert_many(database, 500, unique="short_code")
    healed = failed_rows(database)[0]["row_id"]
    database.query("UPDATE link_links SET title = 'healed' WHERE id = %s", healed)
    database.query(COUNT_ATTEMPTS)

    result = run_pass(database, EXPIRATION, now=NOW + HOUR)

    assert (result.processed, result.failed) == (501, 19)
    [attempts] = database.query("SELECT last_value FROM attempts")
    assert attempts["last_value"] == 501 + 19
    assert {row["failures"] for row in failed_rows(database)} == {2}


def test_a_row_that_fails_again_and_again_is_tried_ever_less_often_but_daily(
    database: TestDatabase,
) -> None:
    link(title="poison").insert(database)
    database.query(REFUSE)
    now, distances = NOW, []
    for _ in range(11):
        assert run_pass(database, EXPIRATION, now=now).failed == 1
        [failed] = failed_rows(database)
        distances.append((failed["retry_at"] - now) / MINUTE)
        now = failed["retry_at"]

    assert distances == [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440]
    assert failed["failures"] == 11


def test_a_row_set_aside_that_is_no_longer_due_is_forgotten(database: TestDatabase) -> None:
    link(title="poison").insert(database)
    database.query(REFUSE)
    run_pass(database, EXPIRATION)
    database.query("DELETE FROM link_links")

    processed_at(database, NOW + HOUR)

    assert failed_rows(database) == []


def test_a_pass_that_is_stopped_forgets_nothing(database: TestDatabase) -> None:
    link(title="poison").insert(database)
    database.query(REFUSE)
    run_pass(database, EXPIRATION)
    before = failed_rows(database)

    run_pass(database, EXPIRATION, now=NOW + HOUR, stopping=lambda: True)

    assert failed_rows(database) == before != []


def test_what_another_scheduler_has_set_aside_is_no_concern_of_this_one(
    database: TestDatabase,
) -> None:
    row = {"row_id": link().insert(database)["id"], "failed_at": NOW - DAY}
    of_others = [
        database.insert("toast_failed_rows", scheduler="one", retry_at=NOW - HOUR, **row),
        database.insert("toast_failed_rows", scheduler="two", retry_at=NOW + HOUR, **row),
    ]

    assert run_pass(database, EXPIRATION).processed == 1
    assert failed_rows(database) == of_others


def test_a_row_counts_as_failed_when_its_grace_is_over(database: TestDatabase) -> None:
    row, other = uuid4(), uuid4()
    with database.session() as session:
        for now, why, counts in (
            (NOW, "not found", False),
            (NOW + 2 * DAY, "no answer", True),  # which has no grace
            (NOW + 7 * DAY - MICROSECOND, "not found", False),
            (NOW + 7 * DAY, "not found", True),
        ):
            grace = 7 * DAY if why == "not found" else timedelta(0)
            kept = aside.set_aside(session, "character-sync", row, why, now, grace=grace)
            assert kept == (why, counts)
            assert aside.count(session, "character-sync", 10) == counts
        aside.set_aside(session, "character-sync", other, "", NOW, first_delay=2 * DAY)
        aside.set_aside(session, "character-sync", other, "", NOW, first_delay=2 * DAY)
    retry_at = {row["row_id"]: row["retry_at"] for row in failed_rows(database)}
    assert retry_at == {row: NOW + 7 * DAY + 80 * MINUTE, other: NOW + 2 * DAY}


def test_the_failures_of_an_earlier_release_are_kept(database: TestDatabase) -> None:
    database.query("ALTER TABLE toast_failed_rows DROP COLUMN since, DROP COLUMN grace")
    earlier = {"reason": "x", "failures": 3, "failed_at": NOW, "retry_at": NOW + HOUR}
    database.insert("toast_failed_rows", scheduler="a", **earlier)
    for scheduler, since in (("b", None), ("c", NOW - 3 * DAY)):
        values = {"scheduler": scheduler, "missing_since": since, **earlier}
        database.insert("toast_sync_failures", **values)

    database.query(migrations.all_migrations()[6].sql)

    kept = database.query("SELECT * FROM toast_failed_rows ORDER BY scheduler")
    assert [{name: row[name] for name in earlier} for row in kept] == [earlier] * 3
    assert [row["since"] for row in kept] == [NOW, NOW, NOW - 3 * DAY]
    assert [row["grace"] / DAY for row in kept] == [0, 0, 7]
    # An earlier release, which may run beside this one, does not name the new columns.
    names = ", ".join(("row_id", *earlier))
    database.query(
        f"INSERT INTO toast_failed_rows (scheduler, {names})"
        f" SELECT 'd', {names} FROM toast_failed_rows WHERE scheduler = 'c'"
    )


def test_a_stop_ends_a_pass_over_rows_that_cannot_be_changed(database: TestDatabase) -> None:
    link(title="poison").insert_many(database, 50, unique="short_code")
    database.query(REFUSE)

    result = run_pass(database, EXPIRATION, stopping=lambda: len(failed_rows(database)) > 0)

    assert 0 < result.failed < 50
    assert not result.complete


def test_progress_is_reported_when_it_is_committed(database: TestDatabase) -> None:
    link(title="poison").insert_many(database, 90, unique="short_code")
    database.query(REFUSE)
    reported: list[int] = []
    committed: list[int] = []

    def report(done: PassResult) -> None:
        reported.append(sum(reported[-1:]) + done.failed)
        committed.append(len(failed_rows(database)))

    assert run_pass(database, EXPIRATION, report_progress=report).failed == 90

    assert reported == committed
    assert any(0 < each < 90 for each in reported)


def processed_at(database: TestDatabase, now: datetime) -> int:
    return run_pass(database, EXPIRATION, now=now).processed
