"""`python -m demo.screenshot [FILE]`, the command of `make screenshot`: the front page as a WebP.

The page and the sample data are those of `make run`. The runs are made up, so that there is a day
of them: one scheduler fails, one is paused, and a few events wait.
"""

import argparse
import base64
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

import workers
from common.config import Settings
from common.database.connection import Database
from common.scheduling import service_settings
from common.scheduling.scheduler import Scheduler
from common.version import VERSION
from demo import embedded, page
from devservers.child_processes import TemporaryFolder
from devservers.needs import Unavailable
from testing.processes import Process, bare, toast
from testing.web.chromium import chromium
from workers.link import link_expiration

FILE = Path(__file__).parent.parent / "docs" / "front-page.webp"
# As wide as most windows; its height is that of the page.
WIDTH = 1280
QUALITY = 90

FAILING, PAUSED = "notification-retry", "webhook-retry"
ERROR = "PassError: Discord answers 503 Service Unavailable to every message"
FAILURES = 4
DAY = timedelta(days=1)

_RUN = """
INSERT INTO toast_runs (id, service, scheduler, host, process, version, started_at, finished_at,
                        result, counts, error)
VALUES (%s, %s, %s, 'vm1', 7, %s, %s, %s, %s, %s, %s)"""

_PAUSE = """
INSERT INTO toast_pauses (service, scheduler, until, reason, paused_by, host)
VALUES ('webhook', %s, %s, 'the receivers move to another network', 'anna', 'vm1')"""

_WAITING = f"""
WITH waiting AS (SELECT id, short_code, expires_at FROM link_links LIMIT 14)
{link_expiration.EXPIRED.insert("waiting")}"""


def main() -> int:
    """Take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make screenshot")
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    file = parser.parse_args().file.absolute()
    try:
        with ExitStack() as stack:
            _take(stack, file)
    except Unavailable as missing:
        print(f"make screenshot needs {missing}", file=sys.stderr)
        return 1
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} KB")
    return 0


def _take(stack: ExitStack, file: Path) -> None:
    browser = stack.enter_context(chromium())
    folder = TemporaryFolder("screenshot")
    stack.callback(folder.remove)
    os.chdir(folder.path)
    embedded.start(stack, folder.path, page.settings(folder.path))
    _add_runs(datetime.now(UTC))
    stack.enter_context(Process("workers", "web", env=bare())).wait_for("page_opened")
    size: Any = {"width": WIDTH, "height": 600}
    reader = browser.new_page(viewport=size, timezone_id="UTC", color_scheme="light")
    reader.goto(toast("web", "link", env=bare(SUDO_USER="anna")).out.strip())
    reader.get_by_role("button", name="Log in").click()
    # The rows that are due are counted behind the page.
    reader.get_by_text("were counted at").wait_for()
    # Half of what a PNG takes, which is all that Playwright's own function makes.
    wanted = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True}
    taken = reader.context.new_cdp_session(reader).send("Page.captureScreenshot", wanted)
    file.write_bytes(base64.b64decode(taken["data"]))


def _add_runs(now: datetime) -> None:
    """A day of runs for every scheduler that is on, a pause, and events that wait."""
    runs: list[tuple[object, ...]] = []
    for service in map(workers.load, workers.SERVICES):
        settings = service_settings.load(service, complete=False)
        for scheduler in service.schedulers:
            if settings[scheduler.enabled]:
                runs += _runs(service.name, scheduler, settings, now)
    with Database(settings).connect() as connection, connection.cursor() as cursor:
        cursor.executemany(_RUN, runs)
        cursor.execute(_PAUSE, [PAUSED, now + timedelta(hours=2)])
        cursor.execute(_WAITING, {"now": now - timedelta(minutes=3)})


def _runs(
    service: str, scheduler: Scheduler, settings: Settings, now: datetime
) -> Iterator[tuple[object, ...]]:
    interval: timedelta = settings[scheduler.interval]
    # The same with every picture.
    chance = random.Random(scheduler.name)
    last = now - interval * chance.uniform(0.2, 0.8)
    for number in range(1 + (DAY // interval)):
        began = last - number * interval
        seconds = chance.lognormvariate(-1, 0.6)
        has_failed = scheduler.name == FAILING and number < FAILURES
        rows = 0 if has_failed else round(40 * seconds)
        yield (
            uuid4(),
            service,
            scheduler.name,
            VERSION,
            began,
            began + timedelta(seconds=seconds),
            "failed" if has_failed else "ok",
            Jsonb({"processed": rows, "events": rows if scheduler.topics else 0}),
            ERROR if has_failed else "",
        )


if __name__ == "__main__":
    sys.exit(main())
