"""The servers of `make run` without settings: PostgreSQL with sample data, a broker and stand-ins
for the remote APIs, all on loopback."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg

import workers
from common import config
from demo import remotes, report
from devservers import live_tables, sample_data
from devservers.child_processes import ServerError
from devservers.mock_broker import Broker
from devservers.postgres import PostgresServer
from devservers.sample_data.source import Remotes

DATABASE = "toxictoast"
SETTINGS_PREFIXES = ("DB_", "KAFKA_")


def settings_found() -> list[str]:
    """The files and variables with settings; if there are any, no server is started."""
    files = dict.fromkeys(file for name in workers.SERVICES for file in config.files(name))
    variables = sorted(
        name for name, value in os.environ.items() if name.startswith(SETTINGS_PREFIXES) and value
    )
    return [*(str(file) for file in files if file.exists()), *variables]


def start(stack: ExitStack, run_folder: Path, more: Mapping[str, str]) -> str:
    """Start all servers, create and fill the tables, and set this process's settings.

    `stack` gets the callbacks that stop them; `more` are settings for another terminal, too.
    Returns the banner.
    """
    server = PostgresServer(durable=False)
    stack.callback(server.remove)
    server.start()
    topics = [topic for name in workers.SERVICES for topic in workers.load(name).topics]
    broker = Broker(topics)
    stack.callback(broker.stop)
    broker.start()
    stand_ins = remotes.start(stack)
    settings = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(server.port),
        "DB_USER": server.user,
        "DB_PASSWORD": server.password,
        "DB_NAME": DATABASE,
        "DB_SSL_MODE": "disable",
        "KAFKA_BROKERS": broker.address,
        **stand_ins.settings,
    }
    os.environ.update(settings)
    rows = _fill(server, stand_ins.remotes)
    _write_settings(stack, run_folder / "demo.env", {**settings, **more})
    return report.embedded_banner(
        rows, f"127.0.0.1:{server.port}", broker.address, stand_ins.addresses
    )


def _fill(server: PostgresServer, webhooks: Remotes) -> dict[str, int]:
    with psycopg.connect(**server.connection(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(**server.connection(DATABASE), autocommit=True) as connection:
        connection.execute(live_tables.sql().encode())
        _migrate()
        return sample_data.load(connection, datetime.now(UTC), remotes=webhooks)


def _migrate() -> None:
    """Run `toast migrate`, like an operator."""
    finished = subprocess.run(
        [sys.executable, "-m", "workers", "migrate"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if finished.returncode != 0:
        raise ServerError(f"toast migrate failed:\n{finished.stdout}{finished.stderr}")


def _write_settings(stack: ExitStack, file: Path, settings: dict[str, str]) -> None:
    """Write the settings of these servers, for another terminal of this user."""
    stack.callback(file.unlink, missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in settings.items())
