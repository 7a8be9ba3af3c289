"""A quiet sync, as `toast takeover` runs it: everything is recorded, the recent part announced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from common.database.connection import Database
from common.scheduling.first_pass import Takeover
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Ages
from devservers.standins.battle_net_game import Character, Guild
from testing.warcraft_worker import AGGRA, WarcraftWorker
from workers.warcraft import SERVICE

TWO_DAYS_AGO = datetime.now(UTC) - timedelta(days=2)


def test_what_was_never_synced_is_as_old_as_can_be(worker: WarcraftWorker) -> None:
    worker.track(Character("Jon", AGGRA), Guild("Night's Watch", AGGRA))
    lately = worker.track(Character("Arya", AGGRA))
    worker.database.insert("character_details", character_id=lately, last_synced_at=TWO_DAYS_AGO)
    guild = worker.track(Guild("Kingsguard", AGGRA), last_synced_at=TWO_DAYS_AGO)

    loaded = worker.load()
    for sync, most in zip(SERVICE.schedulers, (3, 1), strict=True):
        takeover = Takeover(timedelta(days=7))
        runner = PassRunner(sync, loaded, Database(loaded), takeover=takeover)
        shown, run = runner.preview(), runner.run()
        assert (shown.count, shown.ages) == (2, Ages(week=1, unknown=1))
        assert (run.counts["processed"], run.counts["events"], shown.events) == (2, most, most)

    assert {event["key"] for event in worker.events()} == {str(lately), str(guild)}
    assert (
        worker.database.count("character_details WHERE last_synced_at > now() - interval '1 day'")
        == 2
    )
    assert worker.database.count("guilds WHERE last_synced_at > now() - interval '1 day'") == 2
