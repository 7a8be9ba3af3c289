"""Links that are due for link-expiration, a pass over them, and changes that take long."""

from datetime import UTC, datetime

from common.config import Settings
from common.database.connection import Database
from common.database.run_history import Run
from common.scheduling.pass_runner import PassRunner
from testing.database import TestDatabase
from workers.link import link_expiration

EXPIRED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

_INSERT = """
INSERT INTO link_links (original_url, short_code, expires_at, click_count, created_at, updated_at)
SELECT '', n::text, %s, 0, now(), now() FROM generate_series(1, %s) AS n"""

_PAUSE = """
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE TRIGGER pause AFTER UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION pause()
"""


def insert_expired(database: TestDatabase, links: int) -> None:
    """Insert so many links that are due: each slice of the heap is a batch of some thousand."""
    database.query(_INSERT, EXPIRED, links)


def one_pass(settings: Settings) -> Run:
    """Run one pass in this process."""
    return PassRunner(link_expiration.SCHEDULER, settings, Database(settings)).run()


def slow_down(database: TestDatabase, table: str, seconds: float) -> None:
    """Let each statement that changes the table take so many seconds longer, even without rows."""
    database.query(_PAUSE.format(table=table, seconds=seconds))
