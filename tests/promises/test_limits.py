"""The units' limits: every worker works within them, and what happens when one is reached."""

from __future__ import annotations

import re
import resource
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
import trustme

import workers
from common.remote.http.name_lookup import MOST_LOOK_UPS
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.needs import Unavailable
from devservers.standins.discord import DiscordServer
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import DAY
from testing.processes import Process, environment
from testing.scheduler_cases.webhook import delivery, webhook
from tests.support.role_work import install_refusals, work
from tests.support.scrapes import ask
from workers.notification.retry_pass import SENDERS
from workers.webhook.webhook_delivery import MOST_WORKERS

UNIT = (ROOT / "systemd" / "toast-.service.d" / "10-toast.conf").read_text("utf-8")
FEW_FILES = 64
FEW_THREADS = 40
NO_MORE_FILES = "LimitReached: Too many open files: raise LimitNOFILE= of the unit"
# So many deliveries at once are near the limits; the next reach one while these wait for a reply.
NEARLY = 15
# One is answered before the others are asked.
DELIVERIES = MOST_WORKERS + 1
REACHED_SECONDS = 2.0


def limit(name: str) -> int:
    """The number of this line of the units."""
    found = re.search(rf"^{name}=(\d+)M?$", UNIT, re.MULTILINE)
    assert found
    return int(found[1])


def limit_files(worker: Process, most: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (most, hard))


# --- every worker -----------------------------------------------------------------------------


@pytest.mark.parametrize("service", workers.SERVICES)
def test_every_worker_does_its_work_with_few_files_and_threads(
    service: str, database: TestDatabase, mock_broker: str
) -> None:
    """Few enough that the units' limits leave room for all but the most deliveries at once."""
    found = workers.load(service)
    port = free_port()
    on = {"WEBHOOK_DELIVERY_ENABLED": "true", "METRICS_PORT": str(port)}
    install_refusals(database)
    with work(service, database, found.topics) as given:
        env = environment(database, mock_broker, **given, **on)
        with Process(f"workers.{service}", env=env, fresh=True) as worker:
            limit_files(worker, FEW_FILES)
            for scheduler in found.schedulers:
                done = worker.wait_for("pass_finished", scheduler=scheduler.name)
                assert done["result"] == "ok", done
            if found.topics:
                worker.wait_for("events_published")
            assert ask(port).status == ask(port, "/readyz").status == 200
            assert worker.threads <= FEW_THREADS
            assert worker.stop() == 0
            assert "Too many open files" not in worker.log


# --- the most deliveries at once --------------------------------------------------------------


class Receiver(WebhookReceiver):
    """A receiver at every host of loopback, that answers after ``answer`` is set.

    It answers the first request at once: without any answer few are asked.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer = threading.Event()
        self._first = threading.Semaphore()
        super().__init__(host="0.0.0.0", tls=tls)

    @contextmanager
    def answering(
        self, path: str, headers: Mapping[str, str], body: bytes, *, verified: bool
    ) -> Iterator[None]:
        with super().answering(path, headers, body, verified=verified):
            if not self._first.acquire(blocking=False):
                self.answer.wait(PATIENCE)
            yield


def hosts() -> list[str]:
    return [f"127.0.{number}.1" for number in range(DELIVERIES)]


def add_deliveries(database: TestDatabase, receiver: Receiver) -> list[UUID]:
    """One to each host; none is due yet."""
    later = {"status": "retrying", "next_retry_at": datetime.now(UTC) + DAY}
    hooks = [webhook(url=receiver.url.replace("0.0.0.0", host)) for host in hosts()]
    return [delivery(webhook_id=hook, **later).insert(database)["id"] for hook in hooks]


def make_due(database: TestDatabase) -> None:
    """All that are not sent, also those whose lease has not ended."""
    database.query(
        "UPDATE webhook_deliveries SET next_retry_at = now() - interval '1 h'"
        " WHERE status = 'retrying'"
    )


def webhook_worker(database: TestDatabase, **settings: str) -> Process:
    only = {
        "WEBHOOK_RETRY_SCHEDULER_ENABLED": "false",
        "WEBHOOK_CLEANUP_ENABLED": "false",
        "WEBHOOK_DELIVERY_ENABLED": "true",
        "WEBHOOK_DELIVERY_INTERVAL": "1s",
        "WEBHOOK_WORKER_COUNT": str(MOST_WORKERS),
        "WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
    }
    return Process("workers.webhook", env=environment(database, **only, **settings), fresh=True)


def counts(database: TestDatabase, table: str) -> dict[tuple[str, int], int]:
    """How many rows there are by status and attempts."""
    rows = database.query(f"SELECT status, attempt_count FROM {table}")
    return Counter((row["status"], row["attempt_count"]) for row in rows)


def is_all_sent(database: TestDatabase) -> bool:
    return counts(database, "webhook_deliveries") == {("success", 2): DELIVERIES}


def test_the_most_deliveries_at_once_keep_within_the_limits_of_the_unit(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts()).configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    port = free_port()
    with Receiver(tls) as receiver:
        add_deliveries(database, receiver)
        make_due(database)
        with webhook_worker(
            database, SSL_CERT_FILE=str(tmp_path / "ca.pem"), METRICS_PORT=str(port)
        ) as worker:
            limit_files(worker, limit("LimitNOFILE"))
            all_sent = poll_until(lambda: receiver.most_in_flight == MOST_WORKERS, 2 * PATIENCE)
            assert all_sent, (receiver.most_in_flight, worker.log)
            # A look-up that has no end has a thread and a socket more.
            assert MOST_WORKERS < worker.threads <= limit("TasksMax") - MOST_LOOK_UPS
            assert MOST_WORKERS < worker.open_files <= limit("LimitNOFILE") - MOST_LOOK_UPS
            assert ask(port).status == ask(port, "/readyz").status == 200
            receiver.answer.set()
            worker.wait_for("pass_finished", processed=DELIVERIES)
            assert worker.peak_memory < limit("MemoryMax")
            assert worker.stop() == 0
    assert is_all_sent(database)


# --- a limit that is reached ------------------------------------------------------------------


@contextmanager
def few_files(worker: Process) -> Iterator[str]:
    limit_files(worker, FEW_FILES)
    yield NO_MORE_FILES
    limit_files(worker, limit("LimitNOFILE"))


@contextmanager
def few_threads(worker: Process) -> Iterator[str]:
    """As TasksMax= does it."""
    first = Path("/sys/fs/cgroup/pids")
    root = first if first.exists() else Path("/sys/fs/cgroup")
    group = root / f"toast-test-{worker.pid}"
    try:
        group.mkdir()
        (group / "pids.max").write_text(str(FEW_THREADS))
        (group / "cgroup.procs").write_text(str(worker.pid))
    except OSError as error:
        raise Unavailable("cgroups", str(error), "run as root") from error
    try:
        yield "LimitReached: can't start new thread: raise TasksMax= of the unit"
    finally:
        (root / "cgroup.procs").write_text(str(worker.pid))
        group.rmdir()


@pytest.mark.parametrize("few", [few_files, few_threads])
def test_deliveries_that_a_limit_holds_back_are_sent_later_and_count_no_attempt(
    database: TestDatabase, few: Callable[[Process], AbstractContextManager[str]]
) -> None:
    port = free_port()
    with Receiver() as receiver, webhook_worker(database, METRICS_PORT=str(port)) as worker:
        ids = add_deliveries(database, receiver)
        worker.wait_for("pass_finished")
        with few(worker) as reason:
            make_due(database)
            assert poll_until(lambda: receiver.most_in_flight >= NEARLY, PATIENCE)
            time.sleep(REACHED_SECONDS)
            receiver.answer.set()
            # A few threads may do all the work; without files the pass fails.
            assert poll_until(
                lambda: bool(worker.records("pass_failed")) or is_all_sent(database), PATIENCE
            )
            assert {failed["error"] for failed in worker.records("pass_failed")} <= {reason}
            assert few is few_threads or not is_all_sent(database)
            assert ask(port, "/healthz").status == 200
            sent = counts(database, "webhook_deliveries")
            assert sent[("success", 2)] > 0
            assert set(sent) <= {("success", 2), ("retrying", 1)}
        make_due(database)
        assert poll_until(lambda: is_all_sent(database), PATIENCE)
        assert worker.stop() == 0
    got = Counter(UUID(request.headers["webhook-id"]) for request in receiver.received)
    assert got == dict.fromkeys(ids, 1)
    assert database.query("SELECT * FROM toast_failed_rows") == []
    assert "row_failed" not in worker.log


def test_notifications_that_a_limit_holds_back_are_sent_later_and_count_no_attempt(
    database: TestDatabase,
) -> None:
    settings = {
        "NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true",
        "NOTIFICATION_RETRY_INTERVAL": "1s",
        "NOTIFICATION_CLEANUP_ENABLED": "false",
    }
    notifications = partial(counts, database, "notification_notifications")

    with (
        DiscordServer() as discord,
        Process(
            "workers.notification", env=environment(database, **settings), fresh=True
        ) as worker,
    ):
        for name in map(str, range(SENDERS)):
            channel = database.insert(
                "notification_channels", name=name, webhook_url=discord.webhook_url(name)
            )
            database.insert(
                "notification_notifications",
                channel_id=channel["id"],
                event_payload='{"id": "e", "type": "link.expired"}',
                status="pending",
                attempt_count=1,
            )
        worker.wait_for("pass_finished")
        # Enough for the session with PostgreSQL, and some of the calls.
        limit_files(worker, worker.open_files + 6)
        database.query("UPDATE notification_notifications SET status = 'failed'")
        assert worker.wait_for("pass_failed")["error"] == NO_MORE_FILES
        assert set(notifications()) <= {("success", 2), ("failed", 1)}
        limit_files(worker, limit("LimitNOFILE"))
        assert poll_until(lambda: notifications() == {("success", 2): SENDERS}, PATIENCE)
        assert worker.stop() == 0
    assert len(discord.delivered()) == SENDERS
    assert database.query("SELECT * FROM toast_failed_rows") == []


def test_a_sync_that_a_limit_holds_back_is_made_later(
    database: TestDatabase, mock_broker: str
) -> None:
    install_refusals(database)
    with work("warcraft", database, ()) as given:
        database.query("UPDATE characters SET deleted_at = now()")
        often = {"GUILD_SYNC_ENABLED": "false", "CHARACTER_SYNC_INTERVAL": "4s"}
        env = environment(database, mock_broker, **given, **often)
        with Process("workers.warcraft", env=env, fresh=True) as worker:
            worker.wait_for("pass_finished", processed=0)
            time.sleep(REACHED_SECONDS)  # then it has no session any more
            # Enough to open a session with PostgreSQL, and then for no connection to Battle.net.
            limit_files(worker, worker.open_files + 1)
            database.query("UPDATE characters SET deleted_at = NULL")
            assert worker.wait_for("pass_failed")["error"] == NO_MORE_FILES
            limit_files(worker, limit("LimitNOFILE"))
            done = partial(worker.records, "pass_finished")
            assert poll_until(lambda: any(each["processed"] for each in done()), PATIENCE)
            assert worker.stop() == 0


def test_a_session_that_a_limit_holds_back_is_opened_later(
    database: TestDatabase, mock_broker: str
) -> None:
    env = environment(database, mock_broker, LINK_EXPIRATION_INTERVAL="1s")
    with Process("workers.link", env=env, fresh=True) as worker:
        worker.wait_for("pass_finished")
        link = database.insert("link_links", expires_at="2020-01-01")["id"]
        limit_files(worker, 3)
        failed = worker.wait_for("pass_failed")
        assert failed["error"].endswith("=> raise LimitNOFILE= of the unit, if it is reached")
        limit_files(worker, limit("LimitNOFILE"))
        worker.wait_for("pass_finished", processed=1)
        assert worker.stop() == 0
    assert database.query("SELECT is_active FROM link_links WHERE id = %s", link) == [
        {"is_active": False}
    ]
