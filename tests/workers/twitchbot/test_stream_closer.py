"""stream-closer: how long a stream may be silent."""

from testing.database import TestDatabase
from testing.passes import MICROSECOND, MINUTE, NOW, run_pass
from testing.scheduler_cases.twitchbot import stream
from workers.twitchbot import stream_closer


def test_the_time_without_an_update_is_a_setting(database: TestDatabase) -> None:
    silent = stream(updated_at=NOW - 90 * MINUTE).insert(database)["id"]
    stream(updated_at=NOW - 90 * MINUTE + MICROSECOND).insert(database)

    result = run_pass(database, stream_closer.SCHEDULER, STREAM_CLOSER_INACTIVE_TIMEOUT="1h30m")

    assert result.processed == 1
    ended = database.query("SELECT id FROM twitchbot_streams WHERE NOT is_active")
    assert [row["id"] for row in ended] == [silent]
