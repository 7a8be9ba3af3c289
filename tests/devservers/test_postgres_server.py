"""The PostgreSQL of the tests and of `make run`, for root and for an ordinary user."""

import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from devservers.checkout import ROOT
from devservers.child_processes import (
    FOLDER_PREFIX,
    ServerError,
    TemporaryFolder,
    poll_until,
    shared_folder,
)
from devservers.needs import Unavailable, program
from devservers.postgres import PostgresServer, StopMode
from devservers.postgres_binaries import find_installation
from testing.database import TestDatabase

# Starts a server, prints its user and port, and waits to be killed.
SCRIPT = """
import os, time
from devservers.postgres import PostgresServer
with PostgresServer(durable=False) as server:
    print(os.geteuid(), server.port, flush=True)
    time.sleep(60)
"""


def test_what_was_committed_outlives_every_way_to_stop(private_database: TestDatabase) -> None:
    server = private_database.server
    ways: tuple[StopMode | None, ...] = ("fast", "immediate", None)

    for way in ways:
        private_database.insert("twitchbot_viewers")
        server.stop(way) if way else server.kill()
        with pytest.raises(psycopg.OperationalError):
            private_database.connect()
        server.start()

    assert private_database.query("SELECT count(*) FROM twitchbot_viewers") == [{"count": 3}]


def test_it_asks_for_the_password(postgres_server: PostgresServer) -> None:
    keywords = postgres_server.connection()
    keywords["password"] = "wrong"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**keywords)


@pytest.mark.servers
def test_an_ordinary_user_runs_it_and_it_ends_with_his_process() -> None:
    prefix = _as_ordinary_user() if os.geteuid() == 0 else []
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE
    ) as user:
        assert user.stdout is not None
        uid, port = map(int, user.stdout.readline().split())
        assert uid != 0
        assert _listens(port)
        user.kill()

    assert poll_until(lambda: not _listens(port), 15)


def _as_ordinary_user() -> list[str]:
    """What makes root an ordinary user who, for this interpreter, may look everywhere."""
    user = "an ordinary user for root"
    prefix = [
        *(
            program("setpriv", of=user, packages="util-linux"),
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    ]
    if subprocess.run([*prefix, "true"], check=False).returncode:
        raise Unavailable(user, "setpriv may not make one here", "run the tests as another user")
    return prefix


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_binaries_of_no_use_are_named() -> None:
    with pytest.raises(ServerError, match=r"tried: /nowhere \(does not run\)"):
        find_installation(Path("/nowhere"))


def test_another_major_version_is_found_by_its_number() -> None:
    """And no other is taken for it; the wheel of 16 comes with the tests."""
    assert find_installation(version=16).version == 16

    with pytest.raises(ServerError, match=r"no PostgreSQL 99 .* apt install postgresql-99"):
        find_installation(version=99)


def test_folders_of_ended_processes_are_removed() -> None:
    held = TemporaryFolder("held")
    left = shared_folder() / f"{FOLDER_PREFIX}left-by-a-killed-process-{uuid.uuid4()}"
    (left / "data").mkdir(parents=True)
    young = shared_folder() / f"{FOLDER_PREFIX}just-made-{uuid.uuid4()}"
    young.mkdir()
    an_hour_ago = time.time() - 3600
    for folder in (held.path, left):
        os.utime(folder, (an_hour_ago, an_hour_ago))

    TemporaryFolder("next").remove()

    assert [folder.exists() for folder in (held.path, left, young)] == [True, False, True]
    held.remove()
    young.rmdir()
