"""The process of the page: where it listens, what it leaves, and that it answers before it ends."""

import itertools
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, free_port, poll_until
from testing.database import TestDatabase
from testing.notify_socket import Listener
from testing.processes import bare, environment, toast
from tests.web.process.browser import Browser, at_port, at_socket, connect, serving
from web.pages import PAGES
from web.process import STOP_SECONDS

pytestmark = pytest.mark.servers

WAITING = "SELECT FROM pg_locks WHERE NOT granted"
# The proportional set size: shared pages count in part.
MOST_MEGABYTES = 45
REQUESTS = 200
STATIC = 10 * ("/static/style.css", "/static/page.js")
NOWHERE = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USER": "toast", "DB_NAME": "toast"}


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_user_and_group_may_open_the_socket_and_only_the_user_read_the_secret(
    folder: Path,
) -> None:
    with serving(bare(**NOWHERE, **at_socket(folder))) as page:
        assert permissions(folder / "web.sock") == 0o660
        assert permissions(folder / "secret") == 0o600
        assert Browser(f"{folder}/web.sock").get("/static/style.css").status == 200
        assert page.stop() == 0

    assert list(folder.iterdir()) == []


def test_it_takes_the_place_of_one_that_was_killed_but_not_of_one_that_runs(folder: Path) -> None:
    env = bare(**NOWHERE, **at_socket(folder))
    with serving(env) as killed:
        killed.kill()
    with serving(env):
        secret = (folder / "secret").read_bytes()

        second = toast("web", env=env)

        assert second.code == 1
        assert f"WEB_LISTEN unix:{folder}/web.sock cannot be opened: it is in use" in second.err
        assert (folder / "secret").read_bytes() == secret
        assert Browser(f"{folder}/web.sock").get("/static/style.css").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_it_listens_at_a_port_of_this_machine_alone(folder: Path, host: str) -> None:
    port = free_port()
    env = bare(**NOWHERE, **at_port(folder, port) | {"WEB_LISTEN": f"{host}:{port}"})
    with serving(env):
        assert Browser(f"{host}:{port}").get("/static/style.css").status == 200

        others = "::1" if host == "127.0.0.1" else "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((others, port), PATIENCE)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"WEB_LISTEN": "0.0.0.0:9180"}, "WEB_LISTEN is 0.0.0.0, which other machines can reach"),
        ({"WEB_ACTIONS": "some"}, "WEB_ACTIONS in the environment is 'some'"),
        ({"DB_PORT": "high"}, "DB_PORT in the environment is 'high'"),
        ({"WEB_LISTEN": "/nowhere/web.sock"}, "WEB_LISTEN is /nowhere/web.sock, but there is no"),
        ({"WEB_SECRET_FILE": "/nowhere/secret"}, "WEB_SECRET_FILE is /nowhere/secret, but there"),
    ],
)
def test_it_does_not_start_with_settings_that_cannot_be_used(
    folder: Path, settings: dict[str, str], fault: str
) -> None:
    ended = toast("web", env=bare(**{**NOWHERE, **at_socket(folder), **settings}))

    assert ended.code == 78
    assert fault in ended.err


def test_without_its_libraries_it_says_how_to_install_them(folder: Path) -> None:
    program = """
import sys
sys.modules["flask"] = None  # as if it was not installed
from workers.__main__ import main
sys.argv[1:] = ["web"]
sys.exit(main())"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=bare(**NOWHERE, **at_socket(folder)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 78
    assert "needs what is not installed: flask => `make install` without WEB=0" in ended.stderr


# --- stop -------------------------------------------------------------------------------------


@pytest.fixture
def systemd(folder: Path) -> Iterator[Listener]:
    listener = Listener(folder / "notify")
    yield listener
    listener.close()
    listener.path.unlink()


def test_it_notifies_systemd_of_ready_life_and_stopping(folder: Path, systemd: Listener) -> None:
    env = bare(**NOWHERE, **at_socket(folder), NOTIFY_SOCKET=str(systemd.path))
    with serving(env) as page:
        systemd.wait_for("READY=1")
        systemd.wait_for("WATCHDOG=1")
        assert page.stop() == 0
        systemd.wait_for("STOPPING=1")


def test_a_request_under_way_is_answered_before_the_end(
    database: TestDatabase, folder: Path
) -> None:
    with serving(environment(database, **at_socket(folder))) as page:
        answers = []
        browser = Browser(f"{folder}/web.sock")
        asks = threading.Thread(target=lambda: answers.append(browser.get("/audit")))
        with database.connect() as lock, lock.transaction():
            lock.execute("LOCK TABLE toast_audit IN ACCESS EXCLUSIVE MODE")
            asks.start()
            assert poll_until(lambda: bool(database.query(WAITING)), PATIENCE)
            stopped = time.monotonic()
            page.send(signal.SIGTERM)
            page.wait_for("stop_requested")
        asks.join()

        assert answers[0].status == 200
        assert page.exit_code() == 0
        assert time.monotonic() - stopped < STOP_SECONDS


def test_a_request_that_takes_too_long_does_not_keep_it(
    database: TestDatabase, folder: Path
) -> None:
    with (
        serving(environment(database, **at_socket(folder))) as page,
        database.connect() as lock,
        lock.transaction(),
        closing(connect(f"{folder}/web.sock")) as client,
    ):
        lock.execute("LOCK TABLE toast_audit IN ACCESS EXCLUSIVE MODE")
        client.sendall(b"GET /audit HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert poll_until(lambda: bool(database.query(WAITING)), PATIENCE)

        stopped = time.monotonic()
        assert page.stop() == 0
        assert STOP_SECONDS - 1 < time.monotonic() - stopped < STOP_SECONDS + 2


def test_it_needs_little_memory(database: TestDatabase, folder: Path) -> None:
    paths = [page.rule for page in PAGES if "<" not in page.rule]
    with serving(environment(database, **at_socket(folder)), fresh=True) as page:
        browser = Browser(f"{folder}/web.sock")
        for path in itertools.islice(itertools.cycle([*paths, *STATIC]), REQUESTS):
            assert browser.get(path).status == 200

        usage = Path(f"/proc/{page.pid}/smaps_rollup").read_text()
        kilobytes = int(usage.split("\nPss:")[1].split()[0])
        assert kilobytes <= MOST_MEGABYTES * 1024


def test_a_worker_loads_nothing_of_the_page() -> None:
    program = """
import sys, workers
from common.worker import worker_process
for name in workers.SERVICES:
    workers.load(name)
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"web", "flask", "waitress", "werkzeug", "jinja2", "itsdangerous"}))"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""
