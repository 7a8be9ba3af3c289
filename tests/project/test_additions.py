"""What CONTRIBUTING.md names for an addition is all that there is to do.

In a copy of the checkout, a scheduler, a setting, a field of an event and a service are added by
hand, `make generate` writes the rest, and the checks and tests of the copy pass.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devservers.checkout import CACHE, ROOT
from tests.project.test_repository import files

# The copy's tests start a PostgreSQL.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SCHEDULER = '''\
"""click-anonymization: the address of who clicked on a link is removed after a while.

Due: clicks with an address, older than CLICK_ANONYMIZATION_RETENTION_DAYS. Changes:
``ip_address`` empty. Event: ``link.click.anonymized``, one per click. A crash leaves complete
batches with their events in the outbox; the rest is still due.
"""

from common import config
from common.database import TEXT, TIME, UUID, Index, Table
from common.events.envelope import Event
from common.scheduling import Condition, Scheduler
from common.scheduling.work.batched_change import BatchedChange

CLICKS = Table("link_clicks", {"id": UUID, "link_id": UUID, "ip_address": TEXT, "clicked_at": TIME})

RETENTION = config.days("CLICK_ANONYMIZATION_RETENTION_DAYS", "30", "days that addresses are kept")

SCHEDULER = Scheduler(
    name="click-anonymization",
    summary="removes old addresses of clicks",
    enabled=config.boolean(
        "CLICK_ANONYMIZATION_ENABLED", "true", "whether old addresses of clicks are removed"
    ),
    interval=config.interval(
        "CLICK_ANONYMIZATION_INTERVAL", "24h", "time from one look for old addresses to the next"
    ),
    work=BatchedChange(
        CLICKS,
        due=(
            Condition("has an address", "ip_address <> ''"),
            Condition("older than it is kept", "clicked_at < %(cutoff)s"),
        ),
        changes={"ip_address": "''"},
        event=Event("link.click.anonymized", key="click_id", fields={"click_id": "id"}),
        shows=("id", "link_id", "clicked_at"),
        index=Index(("clicked_at",)),
        ago={"cutoff": RETENTION},
    ),
)
'''

CASE = """\
CLICK_ANONYMIZATION = Case(
    click_anonymization.SCHEDULER,
    due={"old": Row("link_clicks", {"ip_address": "::1", "clicked_at": NOW - 31 * DAY})},
    stays={
        "exactly 30 days old": Row("link_clicks", {"clicked_at": NOW - 30 * DAY}),
        "without an address": Row("link_clicks", {"ip_address": "", "clicked_at": NOW - 31 * DAY}),
    },
    changes={"ip_address": ""},
    announces=True,
)

CASES = (CLICK_ANONYMIZATION, """

SERVICE = '''\
"""forum: deletes old remarks."""

from common.scheduling import Service
from workers.forum import remark_cleanup

SERVICE = Service("forum", (remark_cleanup.SCHEDULER,), metrics_port=9809)
'''

# As the recipe says: a copy of the clean-up of another service.
COPIED = {
    "workers.twitchbot.tables": "workers.forum.tables",
    '"stream_id", "username"': '"post_id"',
    "message": "remark",
    "MESSAGE": "REMARK",
    "chat ": "",
}

ITS_TABLES = '''\
"""The live tables of forum: the columns that its schedulers use."""

from common.database import TIME, UUID, Table

REMARKS = Table(
    "blog_comments", {"id": UUID, "post_id": UUID, "created_at": TIME, "deleted_at": TIME}
)
'''

ITS_CASE = '''\
"""Rows that are due for the schedulers of forum, and rows that stay."""

from testing.passes import DAY, NOW
from testing.scheduler_rows import Case, Row
from workers.forum import remark_cleanup

REMARK_CLEANUP = Case(
    remark_cleanup.SCHEDULER,
    due={"old": Row("blog_comments", {"created_at": NOW - 91 * DAY})},
    stays={"new": Row("blog_comments", {"created_at": NOW})},
    changes=None,
    announces=False,
)

CASES = (REMARK_CLEANUP,)
'''


class Copy:
    """A copy of the checkout, and the files that were written in it by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.by_hand: set[str] = set()
        for path in files():
            target = root / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        (root / CACHE.name).symlink_to(CACHE)
        # Of the latest `make lint`: mypy then reads only what differs.
        if (types := ROOT / ".mypy_cache").exists():
            shutil.copytree(types, root / types.name)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        self.by_hand.add(name)

    def edit(self, name: str, changes: dict[str, str]) -> None:
        text = (self.root / name).read_text("utf-8")
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self.write(name, text)

    def run(self, *command: str) -> None:
        """Run a module of Python in the copy. AssertionError if it fails."""
        own = {name: os.environ[name] for name in ("PATH", "HOME", "CI") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env={**own, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def add_scheduler(copy: Copy) -> None:
    copy.write("workers/link/click_anonymization.py", SCHEDULER)
    imported = {"import link_expiration": "import click_anonymization, link_expiration"}
    in_the_list = {"(link_expiration": "(click_anonymization.SCHEDULER, link_expiration"}
    copy.edit("workers/link/__init__.py", imported | in_the_list)
    copy.edit("testing/scheduler_cases/link.py", imported | {"CASES = (": CASE})
    copy.edit("CHANGELOG.md", {"\n- The runtime": "\n- Old addresses are removed.\n- The runtime"})


def add_setting(copy: Copy) -> None:
    declared = 'GRACE = config.duration("LINK_EXPIRATION_GRACE", "0s", "more time", minimum="0s")'
    parameter = {
        "EXPIRATION = ": f"{declared}\n\nEXPIRATION = ",
        '"expires_at has come", "expires_at")': '"expires_at has come", "expires_at", '
        '"%(now)s - %(grace)s")',
        "event=EXPIRED,": 'event=EXPIRED, parameters={"grace": GRACE},',
    }
    copy.edit("workers/link/link_expiration.py", parameter)


def add_field(copy: Copy) -> None:
    in_sql = {'"link_id": "id",': '"link_id": "id", "code_length": "length(short_code)",'}
    copy.edit("workers/link/link_expiration.py", in_sql)
    expected = {'"short_code": "brot",': '"short_code": "brot", "code_length": 4,'}
    copy.edit("tests/workers/link/test_link_expiration.py", expected)


def add_service(copy: Copy) -> None:
    copy.edit("workers/__init__.py", {'"webhook")': '"webhook", "forum")'})
    copy.write("workers/forum/__init__.py", SERVICE)
    copy.write("workers/forum/tables.py", ITS_TABLES)
    cleanup = (ROOT / "workers" / "twitchbot" / "message_cleanup.py").read_text("utf-8")
    copy.write("workers/forum/remark_cleanup.py", cleanup)
    copy.edit("workers/forum/remark_cleanup.py", COPIED)
    copy.write("testing/scheduler_cases/forum.py", ITS_CASE)


ADDITIONS: dict[Callable[[Copy], None], set[str]] = {
    add_scheduler: {
        "workers/link/click_anonymization.py",
        "workers/link/__init__.py",
        "testing/scheduler_cases/link.py",
        "CHANGELOG.md",
    },
    add_setting: {"workers/link/link_expiration.py"},
    add_field: {
        "workers/link/link_expiration.py",
        "tests/workers/link/test_link_expiration.py",
    },
    add_service: {
        "workers/__init__.py",
        "workers/forum/__init__.py",
        "workers/forum/tables.py",
        "workers/forum/remark_cleanup.py",
        "testing/scheduler_cases/forum.py",
    },
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The copy with all additions."""
    copy = Copy(tmp_path_factory.mktemp("checkout"))
    for add, by_hand in ADDITIONS.items():
        copy.by_hand.clear()
        add(copy)
        assert copy.by_hand == by_hand
    copy.run("generate")
    copy.run("ruff", "format", "--quiet")
    return copy


OF_TEXTS = tuple(f"tests/project/test_{name}.py" for name in ("repository", "units", "docs"))
ON_SERVERS = (
    *("tests/workers/link", "tests/promises/test_schedulers.py", "tests/common/cli/test_roles.py"),
    *("tests/common/worker/test_pass_metrics.py", "tests/common/worker/test_sentry.py"),
)
# Of the tests of all schedulers and services, those of what is added; of other files, all tests.
CHOSEN = "click or remark or forum or link or pass_metrics or sentry"


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "--check"),
        ("ruff", "check"),
        ("mypy",),
        ("pytest", *OF_TEXTS),
        ("pytest", "--numprocesses", "2", *ON_SERVERS, "-k", CHOSEN),
    ],
    ids=" ".join,
)
def test_nothing_else_has_to_be_done(copy: Copy, command: tuple[str, ...]) -> None:
    copy.run(*command)
