"""Workers whose database and environment are set against them, and that are killed besides."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testing.arena import Arena
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.processes import kills
from tests.support import worlds

_SET = """
SELECT cardinality(setconfig) AS settings FROM pg_db_role_setting
JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()"""


def play(arena: Arena, current: Round) -> Figures:
    """A round of the kills in a database and an environment that lead every client astray."""
    killing = kills.any_killing(current.dice)
    with arena.database() as plain, TemporaryDirectory() as folder:
        database = worlds.hostile(plain)
        variables = _variables(Path(folder))
        found = database.one(_SET)
        return {
            **kills.play_one(arena, current.dice, killing, database, variables),
            "hostile settings": found["settings"],
            "hostile variables": len(variables),
        }


def _variables(folder: Path) -> dict[str, str]:
    """What a shell may have set for another server; for the workers, not for this process."""
    with pytest.MonkeyPatch.context() as environment:
        worlds.set_hostile_variables(environment, folder)
        return {name: value for name, value in os.environ.items() if name.startswith("PG")}


CAMPAIGN = Campaign(
    name="odd-sessions",
    promise="a kill loses nothing where all settings are against the workers",
    faults="ALTER DATABASE SET read-only, serializable, timeouts of 1 to 50 ms, other dates, zones "
    "and encodings; PG* variables that lead to another server; one scheduler and place, or "
    f"{kills.KILLS_A_RANDOM_ROUND} kills at random",
    limits=(
        Limit("kills", least=1),
        Limit("hostile settings", least=15, merge=min),
        Limit("hostile variables", least=15, merge=min),
        *kills.LIMITS,
    ),
    play=play,
    rounds=100,
    small_rounds=3,
)
