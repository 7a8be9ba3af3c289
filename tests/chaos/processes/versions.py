"""Two versions of the program on one database: an upgrade, a rollback, and both at a time."""

import subprocess
from pathlib import Path

from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, TemporaryFolder
from devservers.needs import Unavailable
from testing.arena import Arena
from testing.processes import Process
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.stage import NOTHING_LOST, SCHEDULERS, Stage, staged

# The last commit whose rows left alone were in two tables: six migrations.
EARLIER = "850438900c4e"
SWITCHES = 6

_OUR_TABLES = """
SELECT tablename AS name FROM pg_tables
WHERE schemaname = 'public' AND (tablename LIKE 'toast\\_%' OR tablename = 'guild_members')"""


def play(arena: Arena, current: Round) -> Figures:
    """Let the two versions take turns, and work at once, while rows become due."""
    earlier = arena.once("earlier version", lambda: _unpacked(EARLIER))
    scheduler = current.dice.choice(SCHEDULERS)
    with staged(arena, scheduler, int(current.size(1_000, 100))) as stage:
        # Every other round begins with the tables of the earlier version.
        upgrades = current.number % 2 == 0
        if upgrades:
            for table in stage.database.query(_OUR_TABLES):
                stage.database.query(f"DROP TABLE {table['name']}")
        exits = 0
        for number in range(SWITCHES):
            is_earlier = number % 2 == (0 if upgrades else 1)
            with _worker(stage, earlier if is_earlier else ROOT) as worker:
                worker.wait_for("pass_finished", seconds=PATIENCE)
                # From the second on, beside the other version.
                if number:
                    with _worker(stage, ROOT if is_earlier else earlier) as other:
                        other.wait_for("pass_finished", seconds=PATIENCE)
                        exits += other.stop() != 0
                if current.dice.random() < 0.5:
                    worker.kill()
                else:
                    exits += worker.stop() != 0
        return {**stage.settle(), "switches": SWITCHES, "other exits": exits}


def _worker(stage: Stage, program: Path) -> Process:
    # The folder of this process would come first.
    return stage.worker(PYTHONPATH=str(program), PYTHONSAFEPATH="1")


def _unpacked(commit: str) -> Path:
    """A folder with the program of that commit. Raises Unavailable without the history."""
    archive = subprocess.run(
        ["git", "archive", commit, "common", "workers"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode != 0:
        why = archive.stderr.decode()
        raise Unavailable("the earlier version", why, "use a clone with its whole history")
    folder = TemporaryFolder("earlier-version").path
    subprocess.run(["tar", "--extract"], cwd=folder, input=archive.stdout, check=True)
    return folder


CAMPAIGN = Campaign(
    name="versions",
    promise="two versions of the program may share a database, in any order",
    faults=f"{SWITCHES} switches between this version and one with earlier tables, both at a time, "
    "half of the workers killed",
    limits=(Limit("switches", least=1), *NOTHING_LOST, Limit("other exits", most=0)),
    play=play,
    rounds=30,
    small_rounds=1,
)
