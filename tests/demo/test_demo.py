"""`make run`, in a checkout of its own: links to this one, with a `.run` and `.env` apart."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

import workers
from devservers.checkout import ROOT
from devservers.child_processes import poll_until
from testing.database import TestDatabase

pytestmark = pytest.mark.servers

STOP_SECONDS = 15
# For everything else, on a busy machine.
PATIENCE_SECONDS = 60

SCHEDULERS = {
    (service, scheduler.name): scheduler
    for service in workers.SERVICES
    for scheduler in workers.load(service).schedulers
}


class Demo:
    """One `python -m demo` and all that it starts, which inherits its mark."""

    def __init__(self, checkout: Path, *arguments: str, **environment: str) -> None:
        self.mark = f"MARK_OF_DEMO_TEST={uuid.uuid4()}"
        self.output = checkout / f"output-{uuid.uuid4()}"
        name, value = self.mark.split("=")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo", *arguments],
                cwd=checkout,
                env={**os.environ, "TOAST_CONFIG_DIR": str(checkout), **environment, name: value},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A process group of its own, as a terminal gives to `make run`.
                process_group=0,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        poll_until(lambda: text in self.text or self.process.poll() is not None, PATIENCE_SECONDS)
        assert text in self.text

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def processes(self) -> list[str]:
        """The command lines of everything that carries the mark and still runs."""
        return [
            command.replace("\0", " ")
            for process in Path("/proc").glob("[0-9]*")
            if self.mark in _read(process / "environ").split("\0")
            and (command := _read(process / "cmdline"))
        ]

    def table(self) -> dict[tuple[str, str], list[str]]:
        """The rest of each scheduler's line, by service and scheduler."""
        rows = (line.split(maxsplit=2) for line in self.text.splitlines())
        return {(row[0], row[1]): row[2].split() for row in rows if tuple(row[:2]) in SCHEDULERS}

    def events(self, topic: str) -> list[str]:
        return [line for line in self.text.splitlines() if topic in line.split()]


def _read(file: Path) -> str:
    """The text of a file in /proc; empty if the process has ended or is another user's."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def checkout() -> Iterator[Path]:
    # Not below tmp_path, which is too long for the path of a socket in some runs.
    with tempfile.TemporaryDirectory(prefix="toast-demo-") as folder:
        yield _checkout(Path(folder))


def _checkout(folder: Path) -> Path:
    for name in (
        *("common", "workers", "web", "devservers", "demo"),
        *("pyproject.toml", "supervisord.conf"),
    ):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def start(checkout: Path) -> Iterator[Callable[..., Demo]]:
    """Starts a Demo, and ends what a failed test has left of it."""
    started: list[Demo] = []

    def start(*arguments: str, **environment: str) -> Demo:
        started.append(Demo(checkout, *arguments, **environment))
        return started[-1]

    yield start
    for demo in started:
        demo.process.terminate()
        demo.process.wait(STOP_SECONDS)


def test_once_without_settings_shows_every_scheduler_at_work(start: Callable[..., Demo]) -> None:
    demo = start("--once")

    assert demo.wait() == 0, demo.text
    assert "demonstration on this machine alone" in demo.text
    table = demo.table()
    assert list(table) == list(SCHEDULERS)
    for name, (state, processed, events, *_) in table.items():
        scheduler = SCHEDULERS[name]
        assert (name, state) == (name, "ok")
        assert (name, int(processed) > 0) == (name, True)
        assert int(events) == sum(len(demo.events(topic)) for topic in scheduler.topics)
    assert demo.processes() == []


def test_it_shows_events_and_refuses_a_second_run_until_ctrl_c(
    start: Callable[..., Demo], checkout: Path
) -> None:
    demo = start()
    demo.wait_for("Ctrl-C stops everything")

    second = start()
    assert second.wait() == 1
    assert f"another `make run` is at work here (process {demo.process.pid})" in second.text

    [page] = re.findall(r"http://127\.0\.0\.1:\d+/login\?link=\S+", demo.text)
    with urllib.request.urlopen(page) as answer:
        assert "<button>Log in</button>" in answer.read().decode()

    link = expire_a_link(checkout)
    demo.wait_for(str(link))
    assert any("toast run link" in line for line in demo.processes())
    assert any("postgres" in line for line in demo.processes())

    pressed = time.monotonic()
    demo.press_ctrl_c()
    assert demo.wait() == 0
    assert time.monotonic() - pressed < STOP_SECONDS
    assert demo.processes() == []


def expire_a_link(checkout: Path) -> uuid.UUID:
    """From another terminal, with the settings of the banner."""
    lines = (checkout / ".run" / "demo.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    with psycopg.connect(
        host=settings["DB_HOST"],
        port=settings["DB_PORT"],
        user=settings["DB_USER"],
        password=settings["DB_PASSWORD"],
        dbname=settings["DB_NAME"],
    ) as connection:
        link = connection.execute(
            "UPDATE link_links SET expires_at = now() WHERE id ="
            " (SELECT id FROM link_links WHERE is_active AND expires_at > now() LIMIT 1)"
            " RETURNING id"
        ).fetchone()
    assert link is not None
    subprocess.run(
        [checkout / ".venv" / "bin" / "toast", "once", "link"],
        env={**os.environ, **settings},
        check=True,
        capture_output=True,
    )
    return uuid.UUID(str(link[0]))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_the_start_leaves_nothing(
    start: Callable[..., Demo], number: signal.Signals
) -> None:
    demo = start()
    poll_until(lambda: any("postgres" in line for line in demo.processes()), PATIENCE_SECONDS)

    demo.process.send_signal(number)

    assert demo.wait() == 0
    assert demo.processes() == []


def test_a_killed_run_leaves_no_process_and_does_not_stop_the_next(
    start: Callable[..., Demo],
) -> None:
    demo = start()
    demo.wait_for("Ctrl-C stops everything")

    demo.process.kill()
    demo.process.wait()

    start().wait_for("demonstration on this machine alone")
    assert poll_until(lambda: demo.processes() == [], STOP_SECONDS)


def test_with_settings_it_starts_only_the_workers_and_reports_what_failed(
    start: Callable[..., Demo], database: TestDatabase, mock_broker: str
) -> None:
    link = database.insert("link_links", expires_at=datetime.now(UTC))
    database.query("DROP TABLE blog_posts CASCADE")
    demo = start(
        "--once",
        **database.environment,
        KAFKA_BROKERS=mock_broker,
        WEBHOOK_CLEANUP_INTERVAL="soon",
        STREAM_CLOSER_ENABLED="false",
    )

    assert demo.wait() == 1
    assert "Running with the settings of: DB_HOST" in demo.text
    table = demo.table()
    assert table["link", "link-expiration"][:3] == ["ok", "1", "1"]
    assert table["blog", "post-publisher"][0] == "failed"
    assert "blog post-publisher: TablesUnusable: there is no table blog_posts" in demo.text
    assert table["webhook", "webhook-cleanup"][0] == "failed"
    assert table["webhook", "webhook-retry"][0] == "failed"
    assert "WEBHOOK_CLEANUP_INTERVAL" in demo.text
    assert table["twitchbot", "stream-closer"][0] == "disabled"
    assert len(demo.events("link.expired")) == 1
    assert str(link["id"]) in demo.text
    assert [row["id"] for row in database.query("SELECT id FROM link_links")] == [link["id"]]
    assert demo.processes() == []


def test_unusable_settings_are_reported_before_anything_starts(
    start: Callable[..., Demo], checkout: Path
) -> None:
    (checkout / ".env").write_text("DB_HOST=127.0.0.1\nDB_PORT=high\n")
    demo = start("--once")

    assert demo.wait() == 78
    assert "DB_PORT" in demo.text
    assert "DB_USER" in demo.text
    assert not (checkout / ".run" / "log" / "supervisord.log").exists()
