"""The warcraft worker on a test's database, with the Battle.net stand-in for its API."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from common.config import Settings
from common.database.connection import Database
from common.database.run_history import Run
from common.logging import redaction
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Preview
from devservers.checkout import ROOT
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Character, Game, Guild, Realm, letters
from testing.database import TestDatabase
from testing.passes import load_settings
from workers.warcraft import SERVICE

CLIENT_ID = "3bdd1d6b9ff54ee1planted"
CLIENT_SECRET = "Zq9planted/secret+of=the-client"

LIVE_TABLES = (
    *("characters", "character_details", "character_equipment", "character_stats"),
    *("guilds", "factions", "races", "classes"),
)
OUR_TABLES = ("guild_members", "toast_failed_rows", "toast_outbox", "toast_runs")

SILVERMOON = Realm("Silvermoon", "silvermoon")
AGGRA = Realm("Aggra (Português)", "aggra-português")
POZZO = Realm("Pozzo dell'Eternità", "pozzo-delleternità")


def empty(database: TestDatabase) -> None:
    """Delete every row: much faster than a new database for each test."""
    with database.connect() as connection:
        for table in (*LIVE_TABLES, *OUR_TABLES):
            connection.execute(f"DELETE FROM {table}".encode())


class WarcraftWorker:
    """Runs passes in this process, or the worker in its own process."""

    def __init__(self, database: TestDatabase, battle_net: BattleNetServer) -> None:
        self.database = database
        self.battle_net = battle_net
        battle_net.credentials = (CLIENT_ID, CLIENT_SECRET)
        self.of_battle_net = {
            "BLIZZARD_CLIENT_ID": CLIENT_ID,
            "BLIZZARD_CLIENT_SECRET": CLIENT_SECRET,
            "BLIZZARD_API_URL": battle_net.url,
            "BLIZZARD_OAUTH_URL": battle_net.url,
        }
        self.settings = {
            **database.environment,
            **self.of_battle_net,
            "KAFKA_BROKERS": "127.0.0.1:1",
            "TOAST_MIGRATE": "false",
        }

    @property
    def game(self) -> Game:
        return self.battle_net.game

    def track(self, *subjects: Character | Guild, **columns: object) -> UUID:
        """Add them to Battle.net and insert their rows; returns the (last) row's id."""
        self.game.add(*subjects)
        for subject in subjects:
            table, name = "characters", subject.name.lower()
            if isinstance(subject, Guild):
                table, name = "guilds", subject.name
            place = {"name": name, "realm": subject.realm.slug, "region": subject.region}
            row_id: UUID = self.database.insert(table, **{**place, **columns})["id"]
        return row_id

    def track_many(self, count: int) -> None:
        """So many characters: Namea, Nameb, ... Namej, Nameba, ..."""
        self.track(*(Character(f"Name{letters(number)}", SILVERMOON) for number in range(count)))

    def make_due(self) -> None:
        """Make all subjects due again, without the events and requests of before."""
        for table in ("character_details", "guilds"):
            self.database.query(f"UPDATE {table} SET last_synced_at = now() - interval '1 day'")
        self.database.query("UPDATE toast_failed_rows SET retry_at = now() - interval '1 minute'")
        self.database.query("DELETE FROM toast_outbox")
        self.battle_net.requests.clear()

    def failures(self) -> dict[UUID, str]:
        """Why each subject is set aside."""
        rows = self.database.query("SELECT row_id, reason FROM toast_failed_rows")
        return {row["row_id"]: row["reason"] for row in rows}

    def run(self, scheduler: str, **settings: str) -> Run:
        """One pass in this process."""
        return self._runner(scheduler, settings).run()

    def run_at_once(self, *schedulers: str) -> list[Run]:
        """A pass of each at the same time, in this process."""
        # Made one after the other: their settings come from variables of the process.
        runners = [self._runner(scheduler, {}) for scheduler in schedulers]
        with ThreadPoolExecutor() as pool:
            return list(pool.map(PassRunner.run, runners))

    def preview(self, scheduler: str, **settings: str) -> Preview:
        """A dry run in this process."""
        return self._runner(scheduler, settings).preview()

    def _runner(self, scheduler: str, settings: dict[str, str]) -> PassRunner:
        chosen = next(each for each in SERVICE.schedulers if each.name == scheduler)
        loaded = self.load(**settings)
        redaction.register(loaded.secrets)
        return PassRunner(chosen, loaded, Database(loaded))

    def load(self, **settings: str) -> Settings:
        environment = {**self.settings, **settings}
        return load_settings("warcraft", SERVICE.variables, environment, SERVICE.needs)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """`toast` with these arguments in its own process."""
        return subprocess.Popen(
            [sys.executable, "-m", "workers", *arguments],
            env={**os.environ, **self.settings, "PYTHONPATH": str(ROOT), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def events(self, topic: str = "") -> list[dict[str, Any]]:
        """The waiting events in the outbox, in order; of one topic if it is given."""
        rows = self.database.query("SELECT topic, key, payload FROM toast_outbox ORDER BY id")
        return [
            {**json.loads(row["payload"]), "topic": row["topic"], "key": row["key"]}
            for row in rows
            if topic in ("", row["topic"])
        ]
