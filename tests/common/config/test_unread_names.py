"""What is set and nothing reads is named: all of a settings file, and in the environment what
begins like a setting of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import workers
from common.scheduling import service_settings
from testing.database import TestDatabase
from testing.processes import environment, toast

SERVICES = [workers.load(name) for name in workers.SERVICES]
NEEDED = "DB_HOST=127.0.0.1\nDB_USER=toast\n"

# The names in the examples of settings files that the live services have beside their sources.
LIVE = """
PORT GRPC_PORT ENVIRONMENT LOG_LEVEL BASE_URL AUTH_ENABLED DB_PASSWORD DB_NAME DB_SSL_MODE
DB_MAX_OPEN_CONNS DB_MAX_IDLE_CONNS DB_MAX_LIFETIME DB_MAX_CONNECTIONS DB_MAX_IDLE_CONNECTIONS
DB_CONNECTION_MAX_LIFETIME SERVER_READ_TIMEOUT SERVER_WRITE_TIMEOUT SERVER_IDLE_TIMEOUT
KEYCLOAK_URL KEYCLOAK_REALM KEYCLOAK_CLIENT_ID KEYCLOAK_CLIENT_SECRET KEYCLOAK_PUBLIC_KEY
KAFKA_BROKERS KAFKA_GROUP_ID KAFKA_TOPICS KAFKA_AUTO_OFFSET_RESET KAFKA_TOPIC_PREFIX
KAFKA_TOPIC_POST_EVENTS KAFKA_TOPIC_COMMENT_EVENTS KAFKA_TOPIC_MEDIA_EVENTS
KAFKA_TOPIC_ITEM_EVENTS KAFKA_TOPIC_INVENTORY_EVENTS KAFKA_TOPIC_RECEIPT_EVENTS
KAFKA_TOPIC_ALERT_EVENTS KAFKA_TOPIC_LINK_EVENTS KAFKA_TOPIC_CLICK_EVENTS MEDIA_STORAGE_PATH
MEDIA_MAX_SIZE MEDIA_ALLOWED_TYPES OCR_STORAGE_PATH OCR_MAX_SIZE OCR_ALLOWED_TYPES OCR_PROVIDER
REDIS_ENABLED REDIS_HOST REDIS_PORT REDIS_PASSWORD REDIS_DB REDIS_TTL SSE_MAX_CLIENTS
SSE_HEARTBEAT_SECONDS SSE_EVENT_BUFFER_SIZE SSE_HISTORY_SIZE CORS_ALLOWED_ORIGINS
CORS_ALLOWED_METHODS CORS_ALLOWED_HEADERS RATE_LIMIT_ENABLED RATE_LIMIT_REQUESTS_PER_MIN
RATE_LIMIT_BURST_SIZE TWITCH_CHANNEL TWITCH_CLIENT_ID TWITCH_CLIENT_SECRET TWITCH_ACCESS_TOKEN
TWITCH_BOT_USERNAME TWITCH_IRC_SERVER TWITCH_IRC_PORT TWITCH_IRC_DEBUG BLIZZARD_CLIENT_ID
BLIZZARD_CLIENT_SECRET WEBHOOK_QUEUE_SIZE WEBHOOK_INITIAL_RETRY_DELAY_SECONDS
WEBHOOK_MAX_RETRY_DELAY_SECONDS WEBHOOK_TIMEOUT_SECONDS WEBHOOK_RETRY_CHECK_INTERVAL_SECONDS
"""

# Of a login, systemd, supervisord, CI, and of programs that use the same servers.
TYPICAL = """
MAIL EDITOR LS_COLORS SSH_CONNECTION SUDO_USER XDG_SESSION_ID DBUS_SESSION_BUS_ADDRESS
DEBUGINFOD_URLS PYTHONUNBUFFERED VIRTUAL_ENV PIP_INDEX_URL SSL_CERT_FILE INVOCATION_ID
SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH STATE_DIRECTORY SUPERVISOR_PROCESS_NAME GITHUB_WORKSPACE
RUNNER_TOOL_CACHE JAVA_HOME_17_X64 CI_SERVER_HOST DB_CONNECTION DB_DATABASE DB_USERNAME DB_URL
DB_POOL_SIZE REDIS_URL SENTRY_ENVIRONMENT SENTRY_RELEASE LOG_FILE LOG_CHANNEL KAFKA_HEAP_OPTS
KAFKA_ADVERTISED_LISTENERS METRICS_ENABLED SERVER_NAME DISCORD_TOKEN SECRET_KEY AWS_REGION
KUBERNETES_PORT_443_TCP POSTGRES_PASSWORD
"""


Warnings = Callable[..., set[str]]


@pytest.fixture
def warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warnings:
    """The warnings for these services, or all, as `toast check` has them, without the folder."""
    for name in os.environ:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOAST_CONFIG_DIR", str(tmp_path))
    (tmp_path / "toast.env").write_text(NEEDED)

    def found(*names: str) -> set[str]:
        chosen = [service for service in SERVICES if service.name in (names or workers.SERVICES)]
        several = [
            service_settings.load(service, complete=False, beside=SERVICES) for service in chosen
        ]
        return {text.replace(f"{tmp_path}/", "") for each in several for text in each.warnings}

    return found


def write(path: Path, names: str) -> None:
    path.write_text(NEEDED + "".join(f"{name}=\n" for name in names.split()))


def test_of_a_live_settings_file_only_what_nothing_reads_is_named(
    warnings: Warnings, tmp_path: Path
) -> None:
    write(tmp_path / "toast.env", LIVE)
    there = "in toast.env is not a setting"
    assert warnings() == {
        # It is like two names of the live services.
        f"DB_MAX_CONNECTIONS {there}",
        f"DB_MAX_IDLE_CONNECTIONS {there}; did you mean DB_MAX_IDLE_CONNS?",
        f"DB_CONNECTION_MAX_LIFETIME {there}; did you mean DB_MAX_LIFETIME?",
        f"WEBHOOK_INITIAL_RETRY_DELAY_SECONDS {there}; did you mean WEBHOOK_INITIAL_RETRY_DELAY?",
        f"WEBHOOK_MAX_RETRY_DELAY_SECONDS {there}; did you mean WEBHOOK_MAX_RETRY_DELAY?",
        f"WEBHOOK_TIMEOUT_SECONDS {there}; did you mean WEBHOOK_DELIVERY_TIMEOUT?",
        f"WEBHOOK_RETRY_CHECK_INTERVAL_SECONDS {there}; "
        "did you mean WEBHOOK_RETRY_SCHEDULER_INTERVAL?",
    }


def test_in_a_settings_file_everything_that_nothing_reads_is_named(
    warnings: Warnings, tmp_path: Path
) -> None:
    strange = "BLIZZARD_FOO MESSAGE_RETENTION_DAYS TOAST_FOO WEBHOOK_QUEUE_SIZ DISCORD_TOKEN FOO"
    write(tmp_path / "toast.env", strange)
    shared = {
        "BLIZZARD_FOO in toast.env is not a setting",
        "MESSAGE_RETENTION_DAYS in toast.env is not a setting; "
        "did you mean MESSAGE_CLEANUP_RETENTION_DAYS?",
        "TOAST_FOO in toast.env is not a setting",
        "WEBHOOK_QUEUE_SIZ in toast.env is not a setting; did you mean WEBHOOK_QUEUE_SIZE?",
        "no worker and no live service reads DISCORD_TOKEN, FOO in toast.env",
    }
    # The same, whichever service is asked for.
    assert warnings() == warnings("link") == shared

    (tmp_path / "link.env").write_text("BASE_URL=\nMESSAGE_CLEANUP_INTERVAL=1h\nBAR=\n")
    own = {
        "no worker and no live service reads BAR in link.env",
        "only other services read MESSAGE_CLEANUP_INTERVAL, not from link.env",
    }
    assert warnings() == warnings("link") == shared | own
    assert warnings("blog") == shared


def test_the_environment_is_full_of_names_of_others(
    warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in TYPICAL.split():
        monkeypatch.setenv(name, "x")
    assert warnings() == set()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TOAST_FOO", ""),
        ("LINK_CACHE", ""),
        ("BLIZZARD_FOO", ""),
        ("POST_TITLE", ""),
        ("STREAM_TIMEOUT", "STREAM_CLOSER_INACTIVE_TIMEOUT"),
        ("MESSAGE_RETENTION_DAYS", "MESSAGE_CLEANUP_RETENTION_DAYS"),
        ("KAFKA_BROKER", "KAFKA_BROKERS"),
    ],
)
def test_in_the_environment_a_name_that_begins_like_ours_is_named(
    warnings: Warnings, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "x")
    question = f"; did you mean {meant}?" if meant else ""
    assert warnings() == {f"{name} in the environment is not a setting{question}"}


def test_toast_check_knows_what_all_services_read(database: TestDatabase, tmp_path: Path) -> None:
    path = tmp_path / "toast.env"
    path.write_text("WEBHOOK_QUEUE_SIZE=1\nWEBHOOK_MAX_RETRIES=4\nFOO=1\n")
    answer = toast(
        "check", "twitchbot", "--json", env=environment(database, TOAST_CONFIG_DIR=str(tmp_path))
    )
    found = [row["message"] for row in json.loads(answer.out) if row["level"] == "warning"]
    assert f"no worker and no live service reads FOO in {path}" in found
    assert "WEBHOOK" not in str(found)
