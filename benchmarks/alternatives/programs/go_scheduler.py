"""The way of the Go schedulers, in Python: their algorithm, statements and messages.

Read a page of 1,000; for each row: one UPDATE, one publish that waits for the broker, and a pause
of 10 ms; then the next page, until none is due.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from .messages import Deliveries, live_fields, live_headers, print_report

PAUSE_SECONDS = 0.01

PAGE = """
SELECT id, short_code, expires_at FROM link_links
WHERE is_active AND deleted_at IS NULL AND expires_at <= %s LIMIT 1000"""

EXPIRE = "UPDATE link_links SET is_active = false, updated_at = %s WHERE id = %s"


def expire_links(connection: psycopg.Connection[Any]) -> None:
    """One pass: all due links, one after another."""
    started, changed, now = time.perf_counter(), 0, datetime.now(UTC)
    # Go's synchronous producers do not wait to batch messages.
    deliveries = Deliveries(linger_ms=0)
    while page := connection.execute(PAGE, (now,)).fetchall():
        for link_id, short_code, expires_at in page:
            connection.execute(EXPIRE, (now, link_id))
            value = json.dumps(live_fields(link_id, short_code, expires_at))
            deliveries.send(str(link_id), value, live_headers(now))
            deliveries.flush()
            time.sleep(PAUSE_SECONDS)
        changed += len(page)
    print_report(started, changed, deliveries.delivered)


if __name__ == "__main__":
    with psycopg.connect(
        host=os.environ["DB_HOST"],
        port=os.environ["DB_PORT"],
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        dbname=os.environ["DB_NAME"],
        autocommit=True,
    ) as connection:
        while True:
            expire_links(connection)
            time.sleep(1)
