"""Three real workers and the page, on one database in which not all is well.

- link publishes to Kafka.
- blog has set a row aside, and its events wait, because its Kafka is away.
- sse fails, because the SSE service is away.
- The other services have never run.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from devservers.child_processes import free_port
from testing.database import TestDatabase
from testing.processes import NO_BROKER, Process, environment, toast
from tests.support.row_faults import add_failed_row, refusal

NOW = datetime.now(UTC)
# No browser breaks it by itself.
LONG = "unbroken" * 40
HOSTILE = f"<script>hacked = 1</script><img src=x onerror='hacked = 1'>\"'{LONG}"
# The number of the first event that is set aside; those of waiting events are lower.
EVENT = 1_000_000

_numbers = itertools.count(EVENT)


@dataclass(frozen=True, slots=True)
class Installation:
    """``url`` is that of the page, and ``env`` the environment of its process."""

    database: TestDatabase
    url: str
    env: Mapping[str, str]

    def login_link(self) -> str:
        """A link that works once."""
        printed = toast("web", "link", env=self.env)
        assert printed.code == 0, printed.err
        return printed.out.strip()

    def audited(self, **about: object) -> list[dict[str, Any]]:
        """The lines of the audit with these values, oldest first."""
        found = self.database.query("SELECT * FROM toast_audit ORDER BY id")
        return [line for line in found if about.items() <= line.items()]

    def add_failed_row(self, scheduler: str, reason: str = "no") -> str:
        """A row that this scheduler has set aside; returns its id."""
        return str(add_failed_row(self.database, scheduler, reason))

    def add_event_aside(self, topic: str = "link.expired", error: str = "no") -> int:
        """An event that Kafka has refused; returns its number."""
        number = next(_numbers)
        self.database.insert(
            "toast_outbox_set_aside",
            id=number,
            service=topic.partition(".")[0],
            topic=topic,
            key=str(uuid4()),
            event_id=uuid4(),
            occurred_at=NOW,
            payload=f'{{"text": "{LONG}"}}',
            tries=5,
            error=error,
            set_aside_at=NOW,
        )
        return number


@contextmanager
def installed(database: TestDatabase, brokers: str, folder: Path) -> Iterator[Installation]:
    """Start everything; the page listens at a port, with all actions."""
    _add_live_rows(database)
    with ExitStack() as stack:

        def start(service: str, of_kafka: str, **settings: str) -> Process:
            env = environment(database, of_kafka, **settings)
            return stack.enter_context(Process(f"workers.{service}", env=env))

        link = start("link", brokers)
        blog = start("blog", NO_BROKER)
        sse = start("sse", NO_BROKER, SSE_GRPC_ADDR=f"127.0.0.1:{free_port()}")
        at = {"WEB_LISTEN": f"127.0.0.1:{free_port()}", "WEB_SECRET_FILE": f"{folder}/secret"}
        env = environment(database, brokers, WEB_ACTIONS="all", **at)
        page = stack.enter_context(Process("workers", "web", env=env))
        link.wait_for("pass_finished", scheduler="link-expiration", result="ok")
        blog.wait_for("pass_finished", scheduler="post-publisher", result="ok")
        sse.wait_for("pass_failed")
        page.wait_for("page_opened")
        installation = Installation(database, f"http://{at['WEB_LISTEN']}", env)
        _add_own_rows(installation)
        yield installation


def _add_live_rows(database: TestDatabase) -> None:
    due = NOW - timedelta(hours=1)
    database.insert("link_links", short_code="expired", is_active=True, expires_at=due)
    for title in ("fine", "bad"):
        database.insert("blog_posts", title=title, status="draft", published_at=due)
    quoted = HOSTILE.replace("'", "''")
    database.query(refusal("UPDATE ON blog_posts", "NEW.title = 'bad'", message=quoted))


def _add_own_rows(installation: Installation) -> None:
    """What takes other services, or hours, to come about."""
    installation.add_failed_row("guild-sync", f"RemoteAway: {HOSTILE}")
    installation.add_event_aside(error=HOSTILE)
    installation.database.query(
        "INSERT INTO toast_alerts VALUES ('stock-level', %s, %s, now())", uuid4(), HOSTILE
    )
    installation.database.query(
        "INSERT INTO toast_discord_channels (channel_id, gone_row, gone_reason)"
        " VALUES (%s, 'row', %s)",
        uuid4(),
        HOSTILE,
    )
    installation.database.query(
        "INSERT INTO toast_audit (login, host, action, subject, rows, first_rows, reason)"
        " VALUES (%s, %s, 'pause', %s, 1, ARRAY[%s], %s)",
        *[HOSTILE] * 5,
    )
