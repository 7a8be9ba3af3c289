"""Procrastinate: a periodic task and its worker, in one process, with plain psycopg.

The task is one UPDATE, as users of PostgreSQL write it; its events are sent after the commit.
"""

import os
import time
from datetime import UTC, datetime
from typing import Any

import procrastinate
import psycopg

from .messages import Deliveries, expired, print_report

CONNECTION: dict[str, Any] = {
    "host": os.environ["DB_HOST"],
    "port": os.environ["DB_PORT"],
    "user": os.environ["DB_USER"],
    "password": os.environ["DB_PASSWORD"],
    "dbname": os.environ["DB_NAME"],
}

EXPIRE = """
UPDATE link_links SET is_active = false, updated_at = %(now)s
WHERE is_active AND deleted_at IS NULL AND expires_at <= %(now)s
RETURNING id, short_code, expires_at"""

app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=CONNECTION))


@app.periodic(cron="* * * * * */1")  # the sixth field is seconds
@app.task(queueing_lock="expire-links")
def expire_links(timestamp: int) -> None:
    started, now = time.perf_counter(), datetime.now(UTC)
    deliveries = Deliveries()
    with psycopg.connect(**CONNECTION) as connection:
        rows = connection.execute(EXPIRE, {"now": now}).fetchall()
    for link_id, short_code, expires_at in rows:
        deliveries.send(*expired(link_id, short_code, expires_at, now))
    deliveries.flush()
    print_report(started, len(rows), deliveries.delivered)


if __name__ == "__main__":
    with app.open():
        if not app.check_connection():  # its own tables do not exist yet
            app.schema_manager.apply_schema()
    app.run_worker(concurrency=1)
