"""Both warcraft syncs: with any odd value in one subject, the others are synced once."""

import threading
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from devservers.postgres import PostgresServer
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Character, Guild, letters
from testing.warcraft_worker import AGGRA, SILVERMOON, WarcraftWorker
from tests.support.odd_values import (
    CLAIMED,
    LATE,
    NEVER,
    NUMBERS,
    TEXTS,
    TIMES,
    encoded_database,
    make_odd,
)
from tests.support.row_faults import refusal
from workers.warcraft import character_replies, due_subjects, guild_replies

CHARACTERS, GUILDS = "character-sync", "guild-sync"
SYNCED = {CHARACTERS: "warcraft.character.synced", GUILDS: "warcraft.guild.synced"}

DOCUMENTS = (None, "null", "[]", '{"a": 1e400}', f'["{"x" * 100_000}"]')
ODD: dict[tuple[str, str], tuple[str | None, ...]] = {
    ("characters", "created_at"): TIMES,
    ("characters", "updated_at"): TIMES,
    ("characters", "deleted_at"): TIMES,
    ("character_details", "guild_id"): (None, str(UUID(int=0))),
    ("character_details", "thumbnail_url"): TEXTS,
    ("character_details", "achievement_points"): NUMBERS,
    ("character_details", "last_synced_at"): TIMES,
    ("character_details", "created_at"): TIMES,
    ("character_details", "updated_at"): TIMES,
    ("character_equipment", "equipment_json"): DOCUMENTS,
    ("character_equipment", "created_at"): TIMES,
    ("character_equipment", "updated_at"): TIMES,
    ("character_stats", "stats_json"): DOCUMENTS,
    ("character_stats", "created_at"): TIMES,
    ("character_stats", "updated_at"): TIMES,
    ("guilds", "member_count"): NUMBERS,
    ("guilds", "achievement_points"): NUMBERS,
    ("guilds", "last_synced_at"): TIMES,
    ("guilds", "created_at"): TIMES,
    ("guilds", "updated_at"): TIMES,
    ("guilds", "deleted_at"): TIMES,
}


def name_of(number: int) -> str:
    return f"Name{letters(100 + number)}"  # none begins like another


def track(worker: WarcraftWorker, scheduler: str, number: int) -> UUID:
    """A character or guild that was synced long ago, with all its rows."""
    if scheduler == GUILDS:
        guild = Guild(name_of(number), SILVERMOON)
        guild.add(Character(f"Member{name_of(number)}", SILVERMOON))
        return worker.track(guild)
    character = worker.track(Character(name_of(number), SILVERMOON))
    for table in ("character_details", "character_equipment", "character_stats"):
        worker.database.insert(table, character_id=character)
    return character


def synced(worker: WarcraftWorker, scheduler: str) -> Counter[UUID]:
    """How often each subject was announced as synced."""
    return Counter(UUID(event["key"]) for event in worker.events(SYNCED[scheduler]))


@pytest.mark.parametrize(("table", "column"), ODD)
def test_an_odd_row_beside_healthy_ones(
    worker: WarcraftWorker, monkeypatch: pytest.MonkeyPatch, table: str, column: str
) -> None:
    monkeypatch.setattr(due_subjects, "PAGE_ROWS", 2)
    scheduler = GUILDS if table == "guilds" else CHARACTERS
    due: list[UUID] = [track(worker, scheduler, 0)]
    rests: list[UUID] = []
    worker.database.query("UPDATE character_details SET last_synced_at = now() - interval '1 day'")
    for number, value in enumerate(ODD[table, column], start=1):
        subject = track(worker, scheduler, number)
        key = "id" if table in ("characters", "guilds") else "character_id"
        [row] = worker.database.query(f"SELECT id FROM {table} WHERE {key} = %s", subject)
        make_odd(worker.database, table, column, row["id"], value)
        rested = column == "last_synced_at" and value in (NEVER, LATE)
        deleted = column == "deleted_at" and value is not None
        (rests if rested or deleted else due).append(subject)
    due.append(track(worker, scheduler, 20))

    shown = worker.preview(scheduler)
    run = worker.run(scheduler)

    assert shown.count == len(due)
    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", len(due), 0)
    assert synced(worker, scheduler) == dict.fromkeys(due, 1)
    assert worker.failures() == {}
    worker.battle_net.requests.clear()
    assert (worker.run(scheduler).counts["processed"], worker.battle_net.requests) == (0, [])


@pytest.mark.parametrize("scheduler", SYNCED)
def test_no_page_passes_over_anything_among_odd_times(
    worker: WarcraftWorker, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    monkeypatch.setattr(due_subjects, "PAGE_ROWS", 3)
    # So the next pages are read while nothing of the first ones is recorded.
    worker.battle_net.latency = 0.02
    times = (None, "-infinity", "0044-03-15 BC", "0044-03-15 00:00:00.000001+00 BC", "2020-01-01")
    table, key = ("guilds", "id") if scheduler == GUILDS else ("character_details", "character_id")
    subjects = []
    for number in range(25):
        subjects.append(track(worker, scheduler, number))
        worker.database.query(
            f"UPDATE {table} SET last_synced_at = %s::timestamptz WHERE {key} = %s",
            times[number % len(times)],
            subjects[-1],
        )

    assert worker.run(scheduler).counts["processed"] == 25
    assert synced(worker, scheduler) == dict.fromkeys(subjects, 1)


@pytest.mark.parametrize("sqlstate", CLAIMED)
@pytest.mark.parametrize(
    ("scheduler", "event", "table", "column"),
    [
        (CHARACTERS, "UPDATE", "characters", "id"),
        (CHARACTERS, "INSERT", "character_equipment", "character_id"),
        (GUILDS, "UPDATE", "guilds", "id"),
        (GUILDS, "INSERT", "guild_members", "guild_id"),
    ],
)
def test_a_trigger_may_raise_any_error(
    own_worker: WarcraftWorker, scheduler: str, event: str, table: str, column: str, sqlstate: str
) -> None:
    worker = own_worker
    subjects = [track(worker, scheduler, number) for number in range(3)]
    when = f"NEW.{column} = '{subjects[1]}'"
    worker.database.query(refusal(f"{event} ON {table}", when, sqlstate=sqlstate))
    run = worker.run(scheduler)

    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", 2, 1)
    assert synced(worker, scheduler) == {subjects[0]: 1, subjects[2]: 1}
    [(subject, reason)] = worker.failures().items()
    assert (subject, reason.endswith(": refused")) == (subjects[1], True)
    assert not any(worker.run(scheduler).counts.values())  # it rests


@pytest.mark.parametrize(
    ("scheduler", "module", "function"),
    [(CHARACTERS, character_replies, "read_profile"), (GUILDS, guild_replies, "read_guild")],
)
def test_an_error_in_our_code_affects_its_subject_only(
    worker: WarcraftWorker,
    monkeypatch: pytest.MonkeyPatch,
    uncaught: list[threading.ExceptHookArgs],
    scheduler: str,
    module: Any,
    function: str,
) -> None:
    read = getattr(module, function)

    def fails_for_some(reply: Any, *rest: Any) -> Any:
        if reply.whole("achievement_points") == 13:
            raise ArithmeticError("no good")
        return read(reply, *rest)

    monkeypatch.setattr(module, function, fails_for_some)
    subjects = [track(worker, scheduler, number) for number in range(30)]
    bad = subjects[:20]  # more than there are threads
    for number in range(20):
        worker.battle_net.order(
            f"/silvermoon/{name_of(number).lower()}",
            edit=lambda reply: reply.update(achievement_points=13),
        )
    run = worker.run(scheduler)

    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", 10, 20)
    assert synced(worker, scheduler) == dict.fromkeys(subjects[20:], 1)
    assert worker.failures() == dict.fromkeys(bad, "ArithmeticError: no good")
    assert [str(caught.exc_value) for caught in uncaught] == ["no good"] * 20


@pytest.mark.usefixtures("uncaught")
@pytest.mark.parametrize("scheduler", SYNCED)
@pytest.mark.parametrize("column", ["name", "realm"])
def test_a_subject_without_a_name_affects_itself_only(
    own_worker: WarcraftWorker, scheduler: str, column: str
) -> None:
    worker = own_worker
    table = "guilds" if scheduler == GUILDS else "characters"
    subjects = [track(worker, scheduler, number) for number in range(4)]
    # The live services do not allow it, but that is up to their next release.
    worker.database.query(f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")
    make_odd(worker.database, table, column, subjects[1], None)
    make_odd(worker.database, table, column, subjects[2], "")
    run = worker.run(scheduler)

    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", 2, 2)
    assert set(worker.failures()) == {subjects[1], subjects[2]}


def test_a_refused_faction_affects_its_characters_only(own_worker: WarcraftWorker) -> None:
    worker = own_worker
    worker.database.query(
        "CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER keep_out BEFORE INSERT ON factions FOR EACH ROW"
        " WHEN (NEW.key = 'alliance') EXECUTE FUNCTION keep_out()"
    )
    jaina = worker.track(Character("Jaina", SILVERMOON, faction="Alliance"))
    thrall = worker.track(Character("Thrall", SILVERMOON))
    run = worker.run(CHARACTERS)

    assert (run.counts["processed"], run.counts["failed"]) == (1, 1)
    assert synced(worker, CHARACTERS) == {thrall: 1}
    assert worker.failures() == {jaina: "LookupError: alliance can neither be found nor created"}


# --- other encodings --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_names_that_the_database_cannot_hold_are_escaped(
    postgres_server: PostgresServer, encoding: str
) -> None:
    with encoded_database(postgres_server, encoding) as database, BattleNetServer() as battle_net:
        worker = WarcraftWorker(database, battle_net)
        guild = Guild("Wardens", SILVERMOON)
        thrall = Character("Thrall", AGGRA, gear={"HEAD": "Корона é", "BACK": "Cloak"})
        guild.add(thrall, Character("Ёлка", SILVERMOON), Character("Ägiel", SILVERMOON))
        worker.track(thrall, Character("Healthy", SILVERMOON))
        worker.track(guild)
        battle_net.order("/thrall", edit=lambda reply: reply.update(name="Тралл é"), times=1)
        runs = [worker.run(CHARACTERS), worker.run(GUILDS)]
        with database.session() as session:
            names = session.execute("SELECT character_name AS name FROM guild_members").fetchall()
            [row] = session.execute(
                "SELECT display_name, equipment_json FROM character_details"
                " JOIN character_equipment USING (character_id) WHERE display_name LIKE %s",
                ("%é",),
            )

    assert [run.error for run in runs] == ["", ""]
    assert [run.counts["processed"] for run in runs] == [2, 1]

    def kept(text: str) -> str:
        if encoding == "SQL_ASCII":
            return text
        return text.encode("latin-1", "backslashreplace").decode("latin-1")

    assert row["display_name"] == kept("Тралл é")
    assert kept("Корона é") in [item["name"] for item in row["equipment_json"]]
    assert {each["name"] for each in names} == {"thrall", kept("ёлка"), "ägiel"}
