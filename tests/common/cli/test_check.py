"""`toast check`: each test breaks one thing; the finding names it, and what to do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

import workers
from common.cli.check.findings import Finding, error, ok
from common.cli.check.parallel import CheckJob, run_all
from common.cli.check.postgres import judge_clocks
from common.cli.check.required_tables import fits
from common.events.topics import ADMIN_SECONDS
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, free_port
from devservers.kafka import KafkaServer
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.sse import SseServer
from testing.advertised import advertised
from testing.database import TestDatabase
from testing.processes import NO_BROKER, bare, environment, toast
from testing.scheduler_rows import Row
from tests.support.role_work import AsRole

CREATE_FIRST = (
    "`toast migrate --topics` creates them now; then restart the consumers: one that runs does not"
    " notice a new topic"
)
PASSWORD = "pl4nted-password-of-a-role"
BIG = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The findings of the command, and its exit code."""

    code: int
    found: list[dict[str, str]]

    def of(self, check: str) -> list[tuple[str, str, str]]:
        """Level, message and fix of the findings of one check."""
        return [
            (one["level"], one["message"], one["fix"])
            for one in self.found
            if one["check"] == check
        ]

    @property
    def trouble(self) -> dict[str, list[str]]:
        """The checks with warnings or errors, and these levels."""
        found: dict[str, list[str]] = {}
        for one in self.found:
            if one["level"] != "ok":
                found.setdefault(one["check"], []).append(one["level"])
        return found


def check(*services: str, env: dict[str, str]) -> Answer:
    finished = toast("check", *services, "--json", env=env)
    assert finished.err == ""
    assert PASSWORD not in finished.out
    return Answer(finished.code, json.loads(finished.out))


@pytest.fixture
def roles(database: TestDatabase) -> TestDatabase:
    """The database with the roles of db/roles.sql on it."""
    database.query((ROOT / "db" / "roles.sql").read_text())
    for service in workers.SERVICES:
        database.query(f"ALTER ROLE toast_{service} PASSWORD '{PASSWORD}'")
    return database


def as_service(database: TestDatabase, service: str) -> AsRole:
    role = f"toast_{service}"
    return AsRole.of(database, role, PASSWORD)


def own(database: TestDatabase, service: str, brokers: str = NO_BROKER) -> dict[str, str]:
    """The environment of a service under its own role."""
    return environment(as_service(database, service), brokers)


# --- all is well ------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["notification", "twitchbot", "webhook"])
def test_where_nothing_is_missing_every_line_is_ok(roles: TestDatabase, service: str) -> None:
    answer = check(service, env=own(roles, service))
    assert (answer.code, answer.trouble) == (0, {})
    checks = [one["check"] for one in answer.found if one["check"] != "schedulers"]
    assert checks == [
        *("settings", "postgres", "clocks", "own tables", "tables", "privileges", "indexes")
    ]
    assert {one["service"] for one in answer.found} == {service}


def test_for_people_it_is_one_aligned_line_each(roles: TestDatabase) -> None:
    roles.query("REVOKE DELETE ON twitchbot_messages FROM toast_twitchbot")
    answer = toast("check", "twitchbot", env=own(roles, "twitchbot"))
    assert (answer.code, answer.err) == (1, "")
    header, *lines = answer.out.splitlines()
    assert header == "LEVEL  SERVICE    CHECK       FOUND"
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok", "ok", "ok", "error", "ok"]
    assert lines[5] == (
        "error  twitchbot  privileges  toast_twitchbot lacks DELETE on twitchbot_messages"
        " => GRANT DELETE ON twitchbot_messages TO toast_twitchbot;"
    )


def test_without_a_service_all_are_checked_and_what_they_share_is_reported_once(
    database: TestDatabase, kafka: str
) -> None:
    with SseServer() as sse, BattleNetServer() as battle_net:
        settings = {
            "SSE_GRPC_ADDR": sse.address,
            "BLIZZARD_CLIENT_ID": "any",
            "BLIZZARD_CLIENT_SECRET": PASSWORD,
            "BLIZZARD_API_URL": battle_net.url,
            "BLIZZARD_OAUTH_URL": battle_net.url,
        }
        answer = check(env=environment(database, kafka, **settings))
    assert answer.code == 0
    for name in ("settings", "postgres", "clocks", "own tables"):
        assert [one["service"] for one in answer.found if one["check"] == name] == ["all"]
    [broker] = [one for one in answer.found if one["check"] == "kafka"]
    assert (broker["service"], broker["level"]) == ("blog,foodfolio,link,warcraft", "ok")
    assert {one["service"] for one in answer.found if one["check"] == "privileges"} == set(
        workers.SERVICES
    )
    assert set(answer.trouble) == {"privileges"}  # the tests' role is a superuser


def test_it_warns_of_deliveries_that_another_pool_has_finished_meanwhile(
    roles: TestDatabase,
) -> None:
    for hours, overtaken in ((1, 30), (2, 6), (30, 999)):
        roles.insert(
            "toast_runs",
            service="webhook",
            scheduler="webhook-delivery",
            started_at=datetime.now(UTC) - timedelta(hours=hours),
            counts=json.dumps({"processed": 1, "overtaken": overtaken}),
            result="ok",
        )
    env = own(roles, "webhook")
    assert check("webhook", env=env).of("passes") == []
    answer = check("webhook", env={**env, "WEBHOOK_DELIVERY_ENABLED": "true"})
    [(level, message, fix)] = answer.of("passes")
    assert level == "warning"
    assert message.startswith("webhook-delivery: 36 deliveries were finished by another process")
    assert "WEBHOOK_DELIVERY_ENABLED=false" in fix


def test_it_names_the_webhooks_whose_url_is_refused(roles: TestDatabase) -> None:
    urls = [
        *("https://user:s3cr3t@hooks.example/", "https://user:p%40ss@hooks.example/"),
        *(f"https://user:s3cr3t@{number}@hooks.example/" for number in range(4)),
        "http://10.0.0.1/s3cr3t",
    ]
    ids = [roles.insert("webhook_webhooks", url=url, active=True)["id"] for url in urls]
    gone = {"url": "https://a@b@c.example/", "deleted_at": datetime.now(UTC)}
    roles.insert("webhook_webhooks", active=True, **gone)
    roles.insert("webhook_webhooks", active=False, url="https://a@b@d.example/")
    env = environment(roles)
    assert check("webhook", env=env).of("rows") == []

    answer = check("webhook", env={**env, "WEBHOOK_DELIVERY_ENABLED": "true"})

    fix = "correct their url in webhook_webhooks; in a user or password @ is written %40"
    refused = ", ".join(map(str, sorted(ids[2:6])[:3]))
    assert sorted(answer.of("rows")) == [
        (
            "warning",
            "webhook-delivery: nothing is sent to 1 of the active webhooks, as the address 10.0.0.1"
            f" is private: {ids[6]}",
            fix,
        ),
        (
            "warning",
            "webhook-delivery: nothing is sent to 4 of the active webhooks, as the URL's user or"
            f" password is not percent-encoded (@ is %40): {refused}, …",
            fix,
        ),
    ]


def test_rows_that_this_role_may_not_read_are_left_to_the_check_of_privileges(
    roles: TestDatabase,
) -> None:
    roles.query("REVOKE SELECT ON webhook_deliveries FROM toast_webhook")
    answer = check("webhook", env={**own(roles, "webhook"), "WEBHOOK_DELIVERY_ENABLED": "true"})
    assert set(answer.trouble) == {"privileges"}


def test_what_only_a_disabled_scheduler_needs_is_not_checked(roles: TestDatabase) -> None:
    roles.query("DROP TABLE twitchbot_messages CASCADE")
    env = own(roles, "twitchbot")
    assert set(check("twitchbot", env=env).trouble) == {"tables"}

    answer = check("twitchbot", env={**env, "MESSAGE_CLEANUP_ENABLED": "false"})

    assert (answer.code, answer.trouble) == (0, {})
    expected = "message-cleanup is switched off (MESSAGE_CLEANUP_ENABLED=false), so not checked"
    assert answer.of("schedulers") == [("ok", expected, "")]


def test_an_unknown_service_is_wrong_usage() -> None:
    answer = toast("check", "twitchbott", env=bare())
    assert (answer.code, answer.out) == (2, "")
    assert "Did you mean twitchbot?" in answer.err


# --- settings ---------------------------------------------------------------------------------


def test_bad_settings_end_with_78_every_fault_and_the_services_that_can_be_checked(
    roles: TestDatabase,
) -> None:
    settings = {"MESSAGE_CLEANUP_INTERVAL": "soon", "STREAM_CLOSER_ENABLED": "perhaps"}
    env = environment(roles, **settings)

    answer = check("twitchbot", env=env)

    assert answer.code == 78
    first, second, rest = answer.of("settings")
    assert first[:2] == (
        "error",
        "MESSAGE_CLEANUP_INTERVAL in the environment is 'soon' (no number before 'soon'); "
        "expected a Go duration of at least 100ms, such as 5m or 1h30m",
    )
    assert "STREAM_CLOSER_ENABLED in the environment is 'perhaps'" in second[1]
    assert rest == ("warning", "nothing else is checked before they can be used", "")
    assert len(answer.found) == 3

    everything = check(env=env)
    assert everything.code == 78
    # Bad settings, no credentials, and no table.
    others = set(workers.SERVICES) - {"twitchbot", "warcraft", "sse"}
    assert {one["service"] for one in everything.found if one["check"] == "tables"} == others
    assert any("BLIZZARD_CLIENT_ID" in message for _, message, _ in everything.of("settings"))


def test_a_fault_in_a_common_setting_is_reported_once() -> None:
    answer = check(env=bare(DB_HOST="h", DB_USER="u", DB_PORT="five"))
    assert answer.code == 78
    port = [one for one in answer.found if one["message"].startswith("DB_PORT")]
    assert [one["service"] for one in port] == ["all"]


def test_a_slip_in_the_name_of_a_setting_is_a_warning(roles: TestDatabase) -> None:
    answer = check("twitchbot", env={**own(roles, "twitchbot"), "STREAM_CLOSER_ENABLD": "no"})
    assert (answer.code, answer.trouble) == (0, {"settings": ["warning"]})
    assert "did you mean STREAM_CLOSER_ENABLED?" in answer.of("settings")[0][1]


# --- PostgreSQL and the clocks ----------------------------------------------------------------


def test_an_unreachable_postgresql_hides_no_other_finding(
    database: TestDatabase, kafka: str
) -> None:
    env = environment(database, kafka, DB_PORT=str(free_port()))
    answer = check("link", env=env)
    assert answer.code == 1
    [(level, message, _)] = answer.of("postgres")
    assert level == "error"
    assert "Connection refused" in message
    for name in ("clocks", "own tables", "tables", "privileges", "indexes", "pages"):
        assert answer.of(name) == [("warning", "not checked: PostgreSQL cannot be used", "")]
    assert answer.of("kafka")[0][0] == "ok"
    assert answer.of("topics")[0][0] == "ok"


def test_a_server_that_never_answers_is_given_up(database: TestDatabase) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        env = environment(database, f"127.0.0.1:{port}", DB_PORT=port)
        answer = check("link", env=env)
    assert answer.code == 1
    assert answer.trouble["postgres"] == answer.trouble["kafka"] == ["error"]


def test_a_wrong_password_is_not_shown(database: TestDatabase) -> None:
    answer = check("twitchbot", env=environment(database, DB_PASSWORD=PASSWORD))
    assert answer.code == 1
    assert "password authentication failed" in answer.of("postgres")[0][1]


@pytest.mark.parametrize(
    ("ahead", "level", "expected"),
    [
        (timedelta(), "ok", "agree within 0.0 s"),
        (timedelta(seconds=60), "ok", "agree within 60.0 s"),
        (timedelta(seconds=-61), "warning", "61.0 s behind this host's"),
        (timedelta(minutes=10), "warning", "600.0 s ahead of this host's"),
        (timedelta(seconds=-601), "error", "passes that delete refuse to run"),
        (timedelta(seconds=601), "error", "601.0 s ahead of this host's"),
    ],
)
def test_clocks_that_differ_are_a_warning_and_then_an_error(
    ahead: timedelta, level: str, expected: str
) -> None:
    finding = judge_clocks(ahead)
    assert finding.level == level
    assert expected in finding.message


# --- our own tables ---------------------------------------------------------------------------


def test_pending_migrations_are_an_error_where_no_worker_applies_them(roles: TestDatabase) -> None:
    roles.query("DELETE FROM toast_migrations WHERE number = 4; DROP TABLE toast_failed_rows")
    env = own(roles, "twitchbot")

    [(level, message, fix)] = check("twitchbot", env=env).of("own tables")
    assert (level, message) == (
        "error",
        "not applied yet: 0004_failed_rows; this role may not create them",
    )
    assert fix.startswith("run `toast migrate`")

    [(level, message, _)] = check("twitchbot", env=environment(roles)).of("own tables")
    assert (level, message) == (
        "warning",
        "not applied yet: 0004_failed_rows; this role may, so a worker will at its start",
    )

    off = environment(roles, TOAST_MIGRATE="false")
    [(level, message, _)] = check("twitchbot", env=off).of("own tables")
    assert (level, message) == ("error", "not applied yet: 0004_failed_rows; TOAST_MIGRATE is off")


def test_before_the_first_start_the_rest_is_checked_as_well(roles: TestDatabase) -> None:
    roles.query(
        "DROP TABLE toast_migrations, toast_runs, toast_failed_rows, toast_outbox,"
        " toast_outbox_set_aside, toast_pauses, toast_triggers"
    )
    answer = check("twitchbot", env=environment(roles))
    assert answer.code == 0
    assert answer.of("own tables")[0][0] == "warning"
    assert answer.of("tables")[0][0] == "ok"


# --- live tables ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "ALTER TABLE twitchbot_messages RENAME TO chat",
            "there is no table twitchbot_messages that this role can see",
        ),
        (
            "ALTER TABLE twitchbot_streams DROP ended_at, DROP started_at",
            "twitchbot_streams has no column started_at, ended_at",
        ),
        (
            "ALTER TABLE twitchbot_streams ALTER updated_at TYPE timestamp",
            "twitchbot_streams.updated_at is timestamp without time zone; expected timestamp"
            " with time zone",
        ),
        (
            "ALTER TABLE twitchbot_messages ALTER id DROP DEFAULT, ALTER id TYPE text",
            "twitchbot_messages.id is text; expected uuid",
        ),
        (
            "ALTER TABLE twitchbot_streams RENAME TO all_streams;"
            " CREATE VIEW twitchbot_streams AS SELECT * FROM all_streams",
            "twitchbot_streams is a view, and only in tables can a pass find its rows",
        ),
    ],
)
def test_a_live_table_that_has_changed_is_an_error(
    database: TestDatabase, change: str, expected: str
) -> None:
    database.query(change)
    answer = check("twitchbot", env=environment(database))
    assert answer.code == 1
    assert [found[:2] for found in answer.of("tables")] == [("error", expected)]
    assert answer.of("tables")[0][2]


def test_a_required_column_that_no_statement_fills_is_an_error(database: TestDatabase) -> None:
    database.query(
        "ALTER TABLE notification_attempts ADD shard text NOT NULL;"
        " ALTER TABLE notification_channels ADD owner text NOT NULL"
    )
    answer = check("notification", env=environment(database))
    assert answer.of("tables") == [
        (
            "error",
            "notification_attempts: shard must be given, which a scheduler does not",
            "give it a default: ALTER TABLE notification_attempts ALTER shard SET DEFAULT ...;",
        )
    ]


@pytest.mark.parametrize(
    ("service", "change", "expected"),
    [
        (
            "link",
            "ALTER TABLE link_links DROP updated_at,"
            " ADD updated_at timestamptz GENERATED ALWAYS AS (created_at) STORED;"
            " GRANT SELECT (updated_at), UPDATE (updated_at) ON link_links TO toast_link",
            (
                'link-expiration cannot use link_links, toast_failed_rows: column "updated_at" can'
                " only be updated to DEFAULT",
                "adapt the scheduler to the live service's new table, or switch it off until then",
            ),
        ),
        (
            "foodfolio",
            "REVOKE EXECUTE ON FUNCTION gen_random_uuid FROM PUBLIC",
            (
                "stock-level cannot use foodfolio_item_variants, foodfolio_item_details,"
                " toast_alerts, toast_failed_rows: permission denied for function gen_random_uuid",
                "GRANT EXECUTE ON FUNCTION gen_random_uuid to this role",
            ),
        ),
    ],
)
def test_a_statement_that_postgresql_would_refuse_is_an_error(
    roles: TestDatabase, service: str, change: str, expected: tuple[str, str]
) -> None:
    roles.query(change)
    assert ("error", *expected) in check(service, env=own(roles, service)).of("statements")


def test_types_that_our_statements_treat_alike_are_accepted(database: TestDatabase) -> None:
    database.query(
        "ALTER TABLE notification_notifications ALTER status TYPE text,"
        " ALTER attempt_count TYPE integer, ALTER last_error TYPE varchar(9000)"
    )
    assert check("notification", env=environment(database)).of("tables")[0][0] == "ok"
    assert fits("bigint", "smallint")
    assert not fits("bigint", "numeric")
    assert not fits("bigint", "text")


@pytest.mark.parametrize("name", workers.SERVICES)
def test_every_column_that_is_used_has_a_type_and_every_type_is_used(name: str) -> None:
    used: dict[str, set[str]] = {}
    declared: dict[str, set[str]] = {}
    for scheduler in workers.load(name).schedulers:
        for access in scheduler.tables:
            if access.table.is_live:
                columns = {*access.select, *access.insert, *access.update} - {"ctid"}
                used.setdefault(access.table.name, set()).update(columns)
                declared[access.table.name] = set(access.table.columns)
    assert used == declared


# --- privileges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "lost"),
    [
        ("twitchbot", "SELECT (ctid) ON twitchbot_streams"),
        ("twitchbot", "UPDATE (ended_at, is_active) ON twitchbot_streams"),
        ("notification", "INSERT (error) ON notification_attempts"),
        ("webhook", "DELETE ON webhook_deliveries"),
        ("sse", "SELECT (number) ON toast_migrations"),
        ("sse", "INSERT (host) ON toast_runs"),
    ],
)
def test_the_statement_for_a_missing_right_can_be_pasted(
    roles: TestDatabase, service: str, lost: str
) -> None:
    with SseServer() as sse:
        env = {**own(roles, service), "SSE_GRPC_ADDR": sse.address}
        roles.query(f"REVOKE {lost} FROM toast_{service}")
        answer = check(service, env=env)
        assert answer.code == 1
        [(level, message, fix)] = answer.of("privileges")
        kind, table = lost.split()[0], lost.split()[-1]
        assert (level, message) == ("error", f"toast_{service} lacks {kind} on {table}")

        roles.query(fix)

        again = check(service, env=env)
        assert (again.code, again.trouble) == (0, {})


def test_the_role_may_not_create_the_temporary_table_of_a_pass(roles: TestDatabase) -> None:
    roles.query(f"REVOKE TEMPORARY ON DATABASE {roles.name} FROM PUBLIC, toast_foodfolio")
    [(level, message, fix)] = check("foodfolio", env=own(roles, "foodfolio")).of("privileges")
    assert (level, message) == ("error", "toast_foodfolio may not create temporary tables")
    roles.query(fix)
    assert check("foodfolio", env=own(roles, "foodfolio")).of("privileges")[0][0] == "ok"


def test_the_role_lacks_the_group_of_a_scheduler_that_is_switched_on(roles: TestDatabase) -> None:
    roles.query("REVOKE toast_webhook_delivery FROM toast_webhook")
    env = {**own(roles, "webhook"), "WEBHOOK_DELIVERY_ENABLED": "true"}
    [(level, _, fix)] = check("webhook", env=env).of("privileges")
    assert (level, fix) == ("error", "GRANT toast_webhook_delivery TO toast_webhook;")
    roles.query(fix)
    assert check("webhook", env=env).of("privileges")[0][0] == "ok"
    off = {**env, "WEBHOOK_DELIVERY_ENABLED": "false"}
    [(level, message, _)] = check("webhook", env=off).of("privileges")
    assert level == "warning"
    assert "; INSERT on webhook_delivery_attempts; " in message
    roles.query("REVOKE toast_webhook_delivery FROM toast_webhook")


@pytest.mark.parametrize(
    ("more", "less", "expected"),
    [
        (
            "GRANT DELETE ON twitchbot_streams TO toast_twitchbot",
            "",
            "may DELETE on twitchbot_streams",
        ),
        (
            "GRANT UPDATE (title) ON twitchbot_streams TO PUBLIC",
            "",
            "may UPDATE on twitchbot_streams",
        ),
        ("GRANT SELECT ON link_links TO toast_twitchbot", "", "may SELECT on link_links"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "", "may create tables in public"),
        ("ALTER TABLE twitchbot_streams OWNER TO toast_twitchbot", "", "owns twitchbot_streams"),
        (
            "ALTER ROLE toast_twitchbot CREATEDB CREATEROLE",
            "ALTER ROLE toast_twitchbot NOCREATEDB NOCREATEROLE",
            "may create roles, may create databases",
        ),
        (
            "ALTER ROLE toast_twitchbot SUPERUSER",
            "ALTER ROLE toast_twitchbot NOSUPERUSER",
            "is a superuser",
        ),
    ],
)
def test_a_right_that_is_not_needed_is_a_warning(
    roles: TestDatabase, more: str, less: str, expected: str
) -> None:
    roles.query(more)
    answer = check("twitchbot", env=own(roles, "twitchbot"))
    if less:
        roles.query(less)
    assert answer.code == 0
    [(level, message, fix)] = answer.of("privileges")
    assert (level, message) == ("warning", f"toast_twitchbot {expected}: more than it needs")
    assert "db/roles.sql" in fix


# --- indexes ----------------------------------------------------------------------------------

ATTEMPTS = "webhook_delivery_attempts"
ATTEMPTS_INDEX = f"idx_{ATTEMPTS}_delivery_id"
CREATE_ATTEMPTS = f"CREATE INDEX CONCURRENTLY ON {ATTEMPTS} (delivery_id);"


@pytest.mark.parametrize(("count", "level"), [(10, "warning"), (BIG, "error")])
def test_without_an_index_on_a_reference_a_clean_up_takes_too_long(
    database: TestDatabase, count: int, level: str
) -> None:
    Row(ATTEMPTS).insert_many(database, count, "")
    database.query(f"DROP INDEX {ATTEMPTS_INDEX}; ANALYZE {ATTEMPTS}")

    [found] = check("webhook", env=environment(database)).of("indexes")

    assert found == (
        level,
        f"{ATTEMPTS} has about {count:,} rows, looked up by delivery_id without an index",
        CREATE_ATTEMPTS,
    )
    database.query(found[2])
    assert check("webhook", env=environment(database)).of("indexes")[0][0] == "ok"


def test_a_table_of_another_owner_that_refers_to_deleted_rows_counts_too(
    database: TestDatabase,
) -> None:
    database.query("CREATE TABLE pins (message uuid REFERENCES twitchbot_messages)")
    [found] = check("twitchbot", env=environment(database)).of("indexes")
    assert (found[0], found[2]) == ("warning", "CREATE INDEX CONCURRENTLY ON pins (message);")


@pytest.mark.parametrize(
    "index",
    [
        "(delivery_id) WHERE success",
        "(created_at, delivery_id)",
        "USING hash (delivery_id)",
        "(lower(delivery_id::text))",
    ],
)
def test_an_index_that_does_not_serve_does_not_count(database: TestDatabase, index: str) -> None:
    database.query(f"DROP INDEX {ATTEMPTS_INDEX}; CREATE INDEX ON {ATTEMPTS} {index}")
    [found] = check("webhook", env=environment(database)).of("indexes")
    assert found[2] == CREATE_ATTEMPTS


@pytest.mark.parametrize("index", ["(delivery_id, created_at)", "(delivery_id) INCLUDE (error)"])
def test_an_index_that_begins_so_counts(database: TestDatabase, index: str) -> None:
    database.query(f"DROP INDEX {ATTEMPTS_INDEX}; CREATE INDEX ON {ATTEMPTS} {index}")
    assert check("webhook", env=environment(database)).of("indexes")[0][0] == "ok"


@pytest.mark.parametrize(
    ("condition", "serves"),
    [
        ("WHERE (deleted_at IS NULL) AND is_active", True),
        ("WHERE is_active = true", True),
        ("WHERE deleted_at IS NULL", False),
        ("", False),
        ("WHERE is_active AND deleted_at IS NULL AND ended_at IS NULL", False),
    ],
)
def test_a_partial_index_serves_by_its_condition(
    database: TestDatabase, condition: str, serves: bool
) -> None:
    database.query(
        "INSERT INTO twitchbot_streams (title, game_name, game_id, started_at, peak_viewers,"
        " average_viewers, total_messages, is_active, created_at, updated_at)"
        " SELECT '', '', '', now(), 0, 0, 0, false, now(), now() FROM generate_series(1, %s)",
        BIG,
    )
    database.query(f"CREATE INDEX ON twitchbot_streams (updated_at) {condition}")
    database.query("ANALYZE twitchbot_streams")
    [(level, message, fix)] = check("twitchbot", env=environment(database)).of("indexes")
    assert level == ("ok" if serves else "warning")
    if not serves:
        assert "not when they are due" in message
        assert fix == (
            "CREATE INDEX CONCURRENTLY ON twitchbot_streams (updated_at)"
            " WHERE is_active AND deleted_at IS NULL;"
        )


def test_an_index_whose_creation_broke_off_is_to_be_dropped_first(database: TestDatabase) -> None:
    database.query(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", ATTEMPTS_INDEX
    )
    [found] = check("webhook", env=environment(database)).of("indexes")
    assert found[2] == f"DROP INDEX CONCURRENTLY {ATTEMPTS_INDEX}; {CREATE_ATTEMPTS}"


def test_without_a_unique_index_for_on_conflict_nothing_can_be_recorded(
    database: TestDatabase,
) -> None:
    # The plain index on the same column stays.
    database.query("ALTER TABLE character_stats DROP CONSTRAINT uni_character_stats_character_id")
    secrets = {"BLIZZARD_CLIENT_ID": "any", "BLIZZARD_CLIENT_SECRET": PASSWORD}
    with BattleNetServer() as battle_net:
        urls = {"BLIZZARD_API_URL": battle_net.url, "BLIZZARD_OAUTH_URL": battle_net.url}
        answer = check("warcraft", env=environment(database, **secrets, **urls))
    assert answer.of("indexes") == [
        (
            "error",
            "character_stats has no unique index on (character_id), without which nothing can"
            " be recorded",
            "CREATE UNIQUE INDEX CONCURRENTLY ON character_stats (character_id);",
        )
    ]


# --- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "advised"), [(10, False), (BIG, True)])
def test_room_is_advised_for_a_big_table_whose_rows_change(
    database: TestDatabase, count: int, advised: bool
) -> None:
    Row("link_links").insert_many(database, count, "short_code")
    database.query("ANALYZE link_links")
    found = check("link", env=environment(database)).of("pages")
    assert bool(found) == advised
    for level, message, fix in found:
        assert level == "ok"
        assert message.startswith(f"link_links has about {count:,} rows, on full pages")
        statement, _, _ = fix.partition(";")
        database.query(statement)
    assert check("link", env=environment(database)).of("pages") == []


def test_a_table_whose_rows_are_only_deleted_needs_no_room(database: TestDatabase) -> None:
    Row("twitchbot_messages").insert_many(database, BIG, "")
    database.query("ANALYZE twitchbot_messages")
    assert check("twitchbot", env=environment(database)).of("pages") == []


# --- Kafka ------------------------------------------------------------------------------------


def test_an_unreachable_kafka_hides_no_other_finding(roles: TestDatabase) -> None:
    answer = check("link", env=own(roles, "link"))
    assert answer.code == 1
    assert answer.of("kafka") == [
        ("error", f"{NO_BROKER}: Connection refused", "start it, or correct KAFKA_BROKERS")
    ]
    assert answer.of("topics") == [("warning", "not checked: Kafka does not answer", "")]
    assert set(answer.trouble) == {"kafka", "topics"}


def test_one_of_several_brokers_away_is_a_warning(roles: TestDatabase, kafka: str) -> None:
    answer = check("link", env=own(roles, "link", f"{NO_BROKER},{kafka}"))
    assert answer.code == 0
    assert [level for level, *_ in answer.of("kafka")] == ["ok", "warning"]
    assert NO_BROKER in answer.of("kafka")[1][1]


def test_a_broker_is_judged_by_the_address_that_it_advertises(
    roles: TestDatabase, mock_broker: str
) -> None:
    unused = free_port()
    with advertised(mock_broker, {mock_broker: unused}) as brokers:
        answer = check("link", env=own(roles, "link", brokers))
    assert answer.code == 1
    [(level, message, fix)] = answer.of("kafka")
    assert level == "error"
    # The metadata may be lost, with the connection that they came by: then it is one text.
    assert f"broker 1, advertised as 127.0.0.1:{unused}: " in message
    assert "correct its advertised.listeners" in f"{message} {fix}"
    assert answer.of("topics") == [("warning", "not checked: Kafka does not answer", "")]


def test_topics_that_are_there_and_that_can_be_created(
    roles: TestDatabase, kafka_server: KafkaServer
) -> None:
    env = own(roles, "foodfolio", kafka_server.address)
    there = "foodfolio.detail.expired"
    kafka_server.create_topic(there)

    answer = check("foodfolio", env=env)

    assert (answer.code, answer.trouble) == (0, {"readers": ["warning"]})
    missing = [topic for topic in workers.load("foodfolio").topics if topic != there]
    expected = [
        ("ok", f"there: {there}", ""),
        ("ok", f"created with the first event: {', '.join(missing)}", CREATE_FIRST),
    ]
    assert answer.of("topics") == expected
    assert check("foodfolio", env=env).of("topics") == expected  # it has created nothing


# One user, whom everything is allowed of which no rule speaks.
RULES = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""


def rule(kafka: KafkaServer, allowed: str, operation: str, topic: str = "") -> None:
    """Allow or deny every client something with a topic, or with the cluster."""
    kind = ResourceType.TOPIC if topic else ResourceType.BROKER
    name = topic or "kafka-cluster"
    permission, what = AclPermissionType[allowed], AclOperation[operation]
    pattern = ResourcePatternType.LITERAL
    binding = AclBinding(kind, name, pattern, "User:ANONYMOUS", "*", what, permission)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    for done in admin.create_acls([binding]).values():
        done.result(PATIENCE)


def test_topics_that_may_not_be_used_are_errors(roles: TestDatabase) -> None:
    fine, read_only, hidden, missing = workers.load("foodfolio").topics
    with KafkaServer(RULES) as kafka:
        env = own(roles, "foodfolio", kafka.address)
        for topic in (fine, read_only, hidden):
            kafka.create_topic(topic)
        rule(kafka, "ALLOW", "READ", read_only)
        rule(kafka, "DENY", "DESCRIBE", hidden)
        first, second, *rest = check("foodfolio", env=env).of("topics")
        assert first[:2] == ("error", f"{read_only}: this client may not write to it")
        assert second[:2] == ("error", f"{hidden} is there, but hidden from this client")
        assert first[2].startswith(f"kafka-acls.sh --bootstrap-server {kafka.address} --add")
        assert rest == [
            ("ok", f"there: {fine}", ""),
            ("ok", f"created with the first event: {missing}", CREATE_FIRST),
        ]
        rule(kafka, "ALLOW", "ALL")
        rule(kafka, "DENY", "DESCRIBE")
        level, message, fix = check("foodfolio", env=env).of("readers")[0]
        assert (level, message) == (
            "ok",
            f"{fine}: whether a consumer group has it is not known:"
            " this client may not see every group",
        )
        assert f"kafka-acls.sh --bootstrap-server {kafka.address} --add --cluster" in fix

        rule(kafka, "DENY", "CREATE")
        rule(kafka, "DENY", "CREATE", missing)
        answer = check("foodfolio", env=env)
        assert answer.code == 1
        [(level, message, fix)] = [found for found in answer.of("topics") if missing in found[1]]
    assert level == "error"
    assert message.startswith(f"{missing} is not there and cannot be created: ")
    assert fix == (
        f"kafka-topics.sh --bootstrap-server {kafka.address} --create --topic {missing}"
        " --partitions 3 --config retention.ms=604800000"
    )


# --- other servers ----------------------------------------------------------------------------


def test_the_sse_service_is_asked_for_its_health(roles: TestDatabase) -> None:
    with SseServer() as sse:
        env = {**own(roles, "sse"), "SSE_GRPC_ADDR": sse.address, "SSE_GRPC_TIMEOUT": "1s"}
        healthy = check("sse", env=env)
        assert (healthy.code, healthy.trouble) == (0, {})
        expected = f"{sse.address}: SSE service is healthy (0 clients)"
        assert healthy.of("SSE service") == [("ok", expected, "")]
        sse.freeze()
        [(level, message, _)] = check("sse", env=env).of("SSE service")
        assert (level, message) == (
            "error",
            f"no answer at {sse.address} (SSE_GRPC_ADDR): no answer within 1 s (SSE_GRPC_TIMEOUT)",
        )
    away = check("sse", env=env)
    assert (away.code, away.trouble) == (1, {"SSE service": ["error"]})
    assert "UNAVAILABLE" in away.of("SSE service")[0][1]


def test_battle_net_is_asked_for_a_token_which_is_not_shown(database: TestDatabase) -> None:
    with BattleNetServer() as battle_net:
        battle_net.credentials = ("the-client", PASSWORD)
        settings = {
            "BLIZZARD_CLIENT_ID": "the-client",
            "BLIZZARD_CLIENT_SECRET": PASSWORD,
            "BLIZZARD_API_URL": battle_net.url,
            "BLIZZARD_OAUTH_URL": battle_net.url,
        }
        env = environment(database, **settings)
        [found] = check("warcraft", env=env).of("Battle.net")
        address = battle_net.url.removeprefix("http://")
        assert found == ("ok", f"{address}: a token from {battle_net.url}/token", "")
        assert len(battle_net.requests) == 1  # for both schedulers, and no more than that

        wrong = {**env, "BLIZZARD_CLIENT_SECRET": "another-secret"}
        [(level, message, _)] = check("warcraft", env=wrong).of("Battle.net")
        assert level == "error"
        assert "are BLIZZARD_CLIENT_ID and BLIZZARD_CLIENT_SECRET those of a client" in message
        assert "another-secret" not in message

        nowhere = {**env, "BLIZZARD_API_URL": "http://127.0.0.1:1"}
        [(level, message, _)] = check("warcraft", env=nowhere).of("Battle.net")
        assert level == "error"
        assert message.endswith("but no connection to 127.0.0.1:1: Connection refused")


# --- deadlines --------------------------------------------------------------------------------


def test_a_check_that_hangs_keeps_what_it_found_and_the_others() -> None:
    release = threading.Event()

    def hang() -> Iterator[tuple[str, Finding]]:
        yield "link", ok("postgres", "one")
        release.wait()

    def succeed() -> Iterator[tuple[str, Finding]]:
        yield "link", ok("kafka", "two")

    jobs = [CheckJob("postgres", ["link", "blog"], hang), CheckJob("kafka", ["link"], succeed)]
    found = list(run_all(jobs, seconds=1.5))
    release.set()  # only now: nobody has waited for it

    hung = error("postgres", "not checked to the end: no answer within 1.5 s")
    assert found == [
        ("link", ok("postgres", "one")),
        *(("link", hung), ("blog", hung)),
        ("link", ok("kafka", "two")),
    ]


def test_a_cluster_without_a_controller_is_not_waited_for(
    roles: TestDatabase, mock_broker: str
) -> None:
    began = time.monotonic()
    [found] = check("link", env=own(roles, "link", mock_broker)).of("readers")

    assert time.monotonic() - began < ADMIN_SECONDS
    assert found[0] == "ok"
    assert found[1].endswith("is not known: no broker is the controller of the cluster")
