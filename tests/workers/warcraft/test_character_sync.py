"""character-sync: what is asked of Battle.net, and what then stands in rows and events."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from common.database import failed_rows
from devservers.child_processes import PATIENCE, poll_until
from devservers.standins.battle_net_game import Character, Guild, Realm, letters
from testing.database import TestDatabase
from testing.warcraft_worker import AGGRA, POZZO, SILVERMOON, WarcraftWorker
from tests.support.row_faults import refusal
from workers.warcraft import due_subjects, reference_rows
from workers.warcraft.reference_rows import Reference

SYNC = "character-sync"
SYNCED = "warcraft.character.synced"
EQUIPMENT_UPDATED = "warcraft.character.equipment.updated"
STATS_UPDATED = "warcraft.character.stats.updated"

HOUR = timedelta(hours=1)


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def details(worker: WarcraftWorker, character: UUID) -> Any:
    return worker.database.one("SELECT * FROM character_details WHERE character_id = %s", character)


# --- what is written down ---------------------------------------------------------------------


def test_a_character_is_stored_with_all_its_data(worker: WarcraftWorker) -> None:
    thrall = Character("Thrall", SILVERMOON, race="Mag'har Orc", playable_class="Death Knight")
    guild = Guild("The Night's Watch", SILVERMOON)
    guild_id = worker.track(guild)
    guild.add(thrall)
    character_id = worker.track(thrall, updated_at=ago(days=9))
    run = worker.run(SYNC)
    assert (run.result, run.error) == ("ok", "")
    assert run.counts == {
        "processed": 1,
        "events": 3,
        "failed": 0,
        "equipment_changed": 1,
        "stats_changed": 1,
    }
    row = details(worker, character_id)
    assert (row["display_name"], row["display_realm"]) == ("Thrall", "Silvermoon")
    assert (row["level"], row["item_level"], row["achievement_points"]) == (80, 620, 12_345)
    assert row["guild_id"] == guild_id
    assert row["thumbnail_url"].endswith("/Thrall-avatar.jpg")
    assert row["last_synced_at"] == row["updated_at"] == row["created_at"]
    names = worker.database.one(
        "SELECT c.key AS class, c.name AS class_name, r.key AS race, r.name AS race_name,"
        " f.key AS faction, f.name AS faction_name, r.faction_id = f.id AS is_its_races"
        " FROM character_details JOIN classes c ON c.id = class_id JOIN races r ON r.id = race_id"
        " JOIN factions f ON f.id = character_details.faction_id"
    )
    assert list(names.values()) == [
        *("death-knight", "Death Knight", "mag'har-orc", "Mag'har Orc", "horde", "Horde"),
        True,
    ]
    character = worker.database.one("SELECT * FROM characters")
    assert character["updated_at"] == row["last_synced_at"]
    assert (character["name"], character["realm"]) == ("thrall", "silvermoon")


def test_equipment_and_stats_are_the_apis_objects_reduced(worker: WarcraftWorker) -> None:
    worker.track(Character("Thrall", SILVERMOON, gear={"HEAD": "Crown", "BACK": "Cloak"}))
    worker.run(SYNC)
    item = {"quality": {"type": "EPIC", "name": "Epic"}, "slot": {"type": "BACK", "name": "Back"}}
    level = {"value": 619, "display_string": "Item Level 619"}
    equipment = worker.database.one("SELECT * FROM character_equipment")["equipment_json"]
    assert equipment[0] == {**item, "item": {"id": 200_001}, "name": "Cloak", "level": level}
    assert [each["name"] for each in equipment] == ["Cloak", "Crown"]
    stats = worker.database.one("SELECT * FROM character_stats")["stats_json"]
    assert stats["strength"] == {"base": 17_647, "effective": 40_000}
    assert stats["power_type"] == {"id": 1, "name": "Rage"}
    rating = {"rating_normalized": 810, "rating_bonus": 4.5, "value": 9.5}
    assert (stats["health"], stats["mastery"]) == (8_412_340, rating)
    ratings = {"melee_crit", "melee_haste", "mastery", "spell_crit", "dodge", "parry", "block"}
    numbers = {"health", "power", "versatility", "attack_power", "spell_power"}
    attributes = {"strength", "agility", "intellect", "stamina", "armor"}
    rest = {"power_type", "spell_penetration"}
    assert set(stats) == ratings | numbers | attributes | rest


def test_the_events_have_the_live_fields(worker: WarcraftWorker) -> None:
    character_id = str(worker.track(Character("Ägiel", AGGRA, region="us")))
    worker.run(SYNC)
    synced, *others = worker.events()
    assert (synced["topic"], synced["key"]) == (SYNCED, character_id)
    moment = synced["data"]["synced_at"]
    assert synced["data"] == {
        "character_id": character_id,
        "name": "ägiel",
        "realm": "aggra-português",
        "region": "us",
        "level": 80,
        "item_level": 620,
        "class_name": "Warrior",
        "race_name": "Orc",
        "faction_name": "HORDE",
        "achievement_points": 12_345,
        "synced_at": moment,
    }
    assert {name: synced[name] for name in synced["data"]} == synced["data"]
    assert (synced["type"], synced["source"]) == (SYNCED, "warcraft-service")
    assert [event["topic"] for event in others] == [EQUIPMENT_UPDATED, STATS_UPDATED]
    changed = {"character_id": character_id, "name": "ägiel", "updated_at": moment}
    assert [event["data"] for event in others] == [changed, changed]
    assert len({event["id"] for event in worker.events()}) == 3


def test_equipment_and_stats_are_announced_only_when_they_changed(worker: WarcraftWorker) -> None:
    thrall = Character("Thrall", SILVERMOON)
    worker.track(thrall, Character("Bystander", SILVERMOON))
    worker.run(SYNC)
    before = worker.database.query("SELECT * FROM character_equipment ORDER BY id")

    worker.make_due()
    thrall.level, thrall.item_level = 81, 633
    worker.battle_net.order("/equipment", edit=lambda reply: reply["equipped_items"].reverse())
    worker.run(SYNC)
    assert [event["topic"] for event in worker.events()] == [SYNCED, SYNCED]
    assert worker.database.query("SELECT * FROM character_equipment ORDER BY id") == before

    worker.make_due()
    thrall.gear["HEAD"] = "Crown of the New"
    assert worker.run(SYNC).counts["equipment_changed"] == 1
    assert worker.events(STATS_UPDATED) == []
    (event,) = worker.events(EQUIPMENT_UPDATED)
    assert event["name"] == "thrall"

    worker.make_due()
    thrall.strength += 1
    assert worker.run(SYNC).counts["stats_changed"] == 1
    assert worker.events(EQUIPMENT_UPDATED) == []
    assert [event["name"] for event in worker.events(STATS_UPDATED)] == ["thrall"]


def test_a_guild_is_linked_by_name_realm_and_region(worker: WarcraftWorker) -> None:
    guild = Guild("Wardens", AGGRA)
    decoys = [
        worker.database.insert("guilds", name="Wardens", realm=realm, region=region)["id"]
        for realm, region in (("silvermoon", "eu"), ("aggra-português", "us"))
    ]
    member, loner = Character("Member", SILVERMOON), Character("Loner", SILVERMOON)
    guild.add(member)
    member_id = worker.track(member)
    loner_id = worker.track(loner)
    worker.database.insert("character_details", character_id=loner_id, guild_id=decoys[0])
    worker.run(SYNC)
    assert details(worker, member_id)["guild_id"] is None  # that guild is not tracked
    assert details(worker, loner_id)["guild_id"] is None  # it has left

    guild_id = worker.track(guild)
    worker.make_due()
    worker.run(SYNC)
    assert details(worker, member_id)["guild_id"] == guild_id

    worker.database.query("UPDATE guilds SET deleted_at = now() WHERE id = %s", guild_id)
    worker.make_due()
    worker.run(SYNC)
    assert details(worker, member_id)["guild_id"] is None
    assert worker.database.count("guilds") == 3


def test_a_reference_row_that_is_there_is_used_as_it_is(worker: WarcraftWorker) -> None:
    alliance = worker.database.insert("factions", key="alliance", name="Alliance")["id"]
    worker.database.insert("factions", key="horde", name="The Horde")
    panda = worker.database.insert("races", key="pandaren", name="Pandaren", faction_id=alliance)
    character_id = worker.track(Character("Chen", SILVERMOON, race="Pandaren"))
    worker.run(SYNC)
    assert details(worker, character_id)["race_id"] == panda["id"]
    assert worker.database.one("SELECT * FROM races") == panda
    names = worker.database.query("SELECT name FROM factions ORDER BY name")
    assert [row["name"] for row in names] == ["Alliance", "The Horde"]


def test_reference_rows_have_no_duplicates_however_many_look_at_once(
    database: TestDatabase,
) -> None:
    start = threading.Barrier(6)

    def look(_: int) -> list[UUID]:
        found = []
        with database.connect() as connection:
            start.wait()
            for number in range(20):
                with connection.transaction():
                    now = datetime.now(UTC)
                    horde = Reference("horde", "Horde")
                    faction = reference_rows.faction_id(connection, horde, now)
                    race = Reference.named(f"Race {number}")
                    found.append(reference_rows.race_id(connection, race, faction, now))
        return found

    with ThreadPoolExecutor(6) as pool:
        found = [race for races in pool.map(look, range(6)) for race in races]
    assert (len(found), len(set(found))) == (120, 20)


def test_a_picture_that_is_gone_is_kept_and_the_old_form_is_read(worker: WarcraftWorker) -> None:
    thrall = Character("Thrall", SILVERMOON, has_picture=False)
    character_id = worker.track(thrall)
    worker.run(SYNC)
    assert details(worker, character_id)["thumbnail_url"] is None

    def in_old_form(reply: dict[str, Any]) -> None:
        del reply["assets"]
        reply["avatar_url"] = "https://render.example/old.jpg"

    thrall.has_picture = True
    order = worker.battle_net.order("character-media", edit=in_old_form)
    worker.make_due()
    worker.run(SYNC)
    assert details(worker, character_id)["thumbnail_url"] == "https://render.example/old.jpg"

    order.edit = lambda reply: reply.update(assets=[])
    worker.make_due()
    assert worker.run(SYNC).counts["processed"] == 1
    assert details(worker, character_id)["thumbnail_url"] == "https://render.example/old.jpg"


# --- what is due ------------------------------------------------------------------------------


def test_what_was_synced_within_nine_tenths_of_the_interval_is_left_alone(
    worker: WarcraftWorker,
) -> None:
    for name, age in (("fresh", 5.35), ("stale", 5.45), ("ancient", 500)):
        character_id = worker.track(Character(name.title(), SILVERMOON))
        synced_at = ago(hours=age)
        worker.database.insert(
            "character_details", character_id=character_id, last_synced_at=synced_at
        )
    worker.track(Character("Never", SILVERMOON))
    worker.track(Character("Deleted", SILVERMOON), deleted_at=ago(days=1))
    assert worker.run(SYNC, CHARACTER_SYNC_INTERVAL="6h").counts["processed"] == 3
    synced = {event["name"] for event in worker.events(SYNCED)}
    assert synced == {"stale", "ancient", "never"}
    assert worker.battle_net.asked("fresh") == worker.battle_net.asked("deleted") == []


def test_rows_of_a_character_that_is_not_due_keep_every_byte(worker: WarcraftWorker) -> None:
    character_id = worker.track(Character("Fresh", SILVERMOON))
    before = [
        worker.database.insert(
            "character_details", character_id=character_id, last_synced_at=ago(minutes=5)
        ),
        worker.database.insert(
            "character_equipment", character_id=character_id, equipment_json=Jsonb([1])
        ),
        worker.database.insert("character_stats", character_id=character_id),
    ]
    worker.track(Character("Due", SILVERMOON))
    worker.run(SYNC)
    tables = ("character_details", "character_equipment", "character_stats")
    after = [
        worker.database.one(f"SELECT * FROM {table} WHERE character_id = %s", character_id)
        for table in tables
    ]
    assert after == before


def test_a_second_pass_asks_for_nothing(worker: WarcraftWorker) -> None:
    worker.track(Character("Thrall", SILVERMOON))
    worker.run(SYNC)
    worker.battle_net.requests.clear()
    run = worker.run(SYNC)
    assert (run.result, run.counts["processed"], worker.battle_net.requests) == ("ok", 0, [])


def test_the_stalest_come_first_however_many_pages_there_are(
    worker: WarcraftWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_subjects, "PAGE_ROWS", 7)
    worker.battle_net.latency = 0.01
    expected = []
    for number in range(40):
        name = f"Name{letters(number)}"
        character_id = worker.track(Character(name, SILVERMOON))
        expected.append(name.lower())
        if number >= 10:  # the first ten were never synced
            worker.database.insert(
                "character_details",
                character_id=character_id,
                last_synced_at=ago(days=100 - number),
            )
    assert worker.run(SYNC).counts["processed"] == 40
    asked = [
        request.path.split("/")[-1]
        for request in worker.battle_net.requests
        if request.path.count("/") == 5
    ]
    assert sorted(asked) == sorted(expected)
    # Eight are under way at once, so that much out of order they may come.
    stale = [name for name in asked if name in expected[10:]]
    assert all(abs(place - expected[10:].index(name)) < 8 for place, name in enumerate(stale))
    assert all(expected.index(name) < 18 for name in asked[:10])


def test_a_dry_run_shows_what_is_due_and_touches_nothing(worker: WarcraftWorker) -> None:
    worker.track_many(12)
    preview = worker.preview(SYNC)
    assert (preview.count, len(preview.rows)) == (12, 10)
    assert set(preview.rows[0]) == {"id", "name", "realm", "region", "last_synced_at"}
    assert worker.battle_net.requests == []
    assert worker.events() == []
    assert worker.database.count("character_details") == 0


# --- where it is asked ------------------------------------------------------------------------


def test_names_with_accents_reach_the_right_address(worker: WarcraftWorker) -> None:
    fjord = Realm("Ревущий фьорд", "howling-fjord")
    targets = {
        "/aggra-portugu%C3%AAs/%C3%A4giel": Character("Ägiel", AGGRA),
        "/pozzo-delleternit%C3%A0/%C3%A9lise": Character("Élise", POZZO),
        "/howling-fjord/%D1%91%D0%BB%D0%BA%D0%B0": Character("Ёлка", fjord),
    }
    worker.track(*targets.values())
    assert worker.run(SYNC).counts["processed"] == 3
    raw = {request.target.partition("?")[0] for request in worker.battle_net.asked("/character/")}
    parts = ["", "/equipment", "/statistics", "/character-media"]
    assert raw == {f"/profile/wow/character{target}{part}" for target in targets for part in parts}


def test_a_realms_display_name_in_a_row_leads_to_its_slug(worker: WarcraftWorker) -> None:
    worker.game.add(Character("Ägiel", POZZO))
    worker.database.insert("characters", name="A\u0308GIEL", realm="Pozzo dell'Eternità", region="")
    assert worker.run(SYNC, BLIZZARD_REGION="eu").counts["processed"] == 1


def test_each_row_is_asked_for_in_its_own_region(worker: WarcraftWorker) -> None:
    worker.track(Character("American", SILVERMOON, region="us"))
    worker.track(Character("Chinese", SILVERMOON, region="cn"), region="CN")
    worker.track(Character("Korean", SILVERMOON, region="kr"), region="")
    worker.track(Character("Nobody", SILVERMOON, region="xx"))
    run = worker.run(SYNC, BLIZZARD_REGION="kr")
    assert (run.counts["processed"], run.counts["failed"]) == (3, 1)
    assert "character nobody of silvermoon (xx)" in run.error
    assert "region is 'xx'" in run.error
    namespaces = {r.path: r.query["namespace"] for r in worker.battle_net.asked("/character/")}
    assert set(namespaces.values()) == {"profile-us", "profile-cn", "profile-kr"}
    assert {event["name"]: event["region"] for event in worker.events(SYNCED)} == {
        "american": "us",
        "chinese": "cn",
        "korean": "kr",
    }


# --- what goes wrong --------------------------------------------------------------------------


def test_a_404_is_counted_and_retried_at_growing_distance(worker: WarcraftWorker) -> None:
    worker.track(Character("Present", SILVERMOON))
    missing = worker.database.insert("characters", name="missing", realm="silvermoon", region="eu")
    old = worker.database.insert("character_details", character_id=missing["id"], level=70)
    distances = []
    for failures in range(1, 8):
        run = worker.run(SYNC)
        assert (run.result, run.counts["failed"], run.counts["not_found"]) == ("ok", 0, 1)
        row = worker.database.one("SELECT * FROM toast_failed_rows")
        assert (row["row_id"], row["failures"]) == (missing["id"], failures)
        distances.append((row["retry_at"] - row["failed_at"]) / HOUR)
        requests = len(worker.battle_net.asked("/missing"))
        assert worker.run(SYNC).counts.get("not_found") is None  # not before its time
        assert len(worker.battle_net.asked("/missing")) == requests == failures
        worker.database.query("UPDATE toast_failed_rows SET retry_at = now()")
    assert distances == [1, 2, 4, 8, 16, 24, 24]
    assert details(worker, missing["id"]) == old
    assert worker.database.one("SELECT * FROM characters WHERE name = 'missing'") == missing
    assert worker.events(SYNCED)[0]["name"] == "present"


def test_a_404_is_reported_when_it_lasts_seven_days(
    worker: WarcraftWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.database.insert("characters", name="missing", realm="silvermoon", region="eu")
    worker.run(SYNC)
    for hours, failed in ((-1, 0), (1, 1)):
        worker.database.query(
            "UPDATE toast_failed_rows SET retry_at = now(),"
            " since = now() - interval '7 days' - %s * interval '1 hour'",
            hours,
        )
        caplog.clear()
        run = worker.run(SYNC)
        assert run.counts["failed"] == failed
        with worker.database.connect() as connection:
            assert failed_rows.count(connection, SYNC, 10) == failed
        errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
        assert errors == ["subject_missing"] * failed
    why = "not found, and not synced for more than 7 days"
    assert run.error == f"character missing of silvermoon (eu): {why}"
    assert worker.database.count("characters") == 1


def test_a_character_that_is_found_again_has_no_failures_left(worker: WarcraftWorker) -> None:
    character_id = worker.track(Character("Thrall", SILVERMOON))
    order = worker.battle_net.order("/thrall", status=404)
    worker.run(SYNC)
    assert len(worker.battle_net.asked("/thrall")) == 1  # the rest of it is not asked for
    order.times = 0
    worker.database.query("UPDATE toast_failed_rows SET retry_at = now()")
    assert worker.run(SYNC).counts["processed"] == 1
    assert worker.database.count("toast_failed_rows") == 0
    assert details(worker, character_id)["level"] == 80


def _edit(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda reply: reply.update(fields)


ODD_REPLIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "nameless": ("", {"edit": lambda reply: reply.pop("name")}, "profile.name is missing"),
    "nul": ("", {"edit": _edit(name="Thr\0all")}, "profile.name is empty or holds"),
    "half a surrogate": ("", {"edit": _edit(name="Thr\ud83d")}, "profile.name is empty or holds"),
    "half a reply": ("", {"body": b'{"name": "Thra'}, "profile is not JSON"),
    "not utf-8": ("", {"body": b'{"name": "\xff"}'}, "profile is not JSON"),
    "a list": ("", {"body": b"[]"}, "profile is a list, not an object"),
    "endlessly deep": ("", {"body": b"[" * 100_000}, "profile is not JSON"),
    "empty": ("", {"body": b""}, "profile is not JSON"),
    "not modified": ("", {"status": 304, "body": b""}, "profile: HTTP 304"),
    "forbidden": ("", {"status": 403}, "profile: HTTP 403"),
    "redirect": ("", {"status": 302, "headers": {"Location": "/x"}}, "profile: HTTP 302"),
    "forbidden part": ("/statistics", {"status": 403}, "statistics: HTTP 403"),
    "empty part": ("/equipment", {"body": b""}, "equipment is not JSON"),
}


def test_an_invalid_reply_names_the_character_and_the_field_and_stops_no_other(
    worker: WarcraftWorker, caplog: pytest.LogCaptureFixture
) -> None:
    names = {}
    for number, case in enumerate(ODD_REPLIES):
        part, order, _ = ODD_REPLIES[case]
        names[case] = f"odd{chr(ord('a') + number)}"
        worker.track(Character(names[case].title(), SILVERMOON))
        worker.battle_net.order(f"/{names[case]}{part}", **order)
        worker.track(Character(f"Fine{chr(ord('a') + number)}", SILVERMOON))
    run = worker.run(SYNC)
    assert (run.result, run.counts["processed"]) == ("ok", len(ODD_REPLIES))
    assert run.counts["failed"] == len(ODD_REPLIES)
    rows = worker.database.query(
        "SELECT c.name, f.reason FROM toast_failed_rows f JOIN characters c ON c.id = row_id"
    )
    reasons = {row["name"]: row["reason"] for row in rows}
    logged = {
        str(record.toast_fields["character"]).split()[0]: str(record.toast_fields["reason"])  # type: ignore[attr-defined]
        for record in caplog.records
        if record.levelname == "ERROR"
    }
    for case, (_, _, reason) in ODD_REPLIES.items():
        assert reason in reasons[names[case]], case
        assert logged[names[case]] == reasons[names[case]]
    written = worker.database.query("SELECT display_name FROM character_details")
    assert {row["display_name"][:4] for row in written} == {"Fine"}
    assert run.error.startswith("character odd")


def test_a_row_that_cannot_be_written_stops_no_other(own_worker: WarcraftWorker) -> None:
    worker = own_worker
    unlucky = "new.stats_json ->> 'health' = '13'"
    worker.database.query(refusal("INSERT ON character_stats", unlucky))
    worker.track(Character("Unlucky", SILVERMOON), Character("Lucky", SILVERMOON))
    worker.battle_net.order("/unlucky/statistics", edit=_edit(health=13))
    run = worker.run(SYNC)
    assert (run.counts["processed"], run.counts["failed"]) == (1, 1)
    assert "unlucky of silvermoon (eu): RaiseException: refused" in run.error
    # Nothing of it was written, the events neither.
    assert [event["name"] for event in worker.events()] == ["lucky"] * 3
    assert (
        worker.database.one("SELECT display_name FROM character_details")["display_name"] == "Lucky"
    )


def test_a_character_deleted_while_it_was_asked_for_stays_deleted(worker: WarcraftWorker) -> None:
    worker.track(Character("Thrall", SILVERMOON))
    worker.battle_net.order(
        "/character-media",
        edit=lambda reply: worker.database.query("UPDATE characters SET deleted_at = now()"),
    )
    assert worker.run(SYNC).counts["processed"] == 0
    assert worker.database.count("character_details") == 0
    assert worker.events() == []


# --- processes --------------------------------------------------------------------------------


def _synced(worker: WarcraftWorker) -> int:
    return worker.database.count("character_details")


def test_after_kill_9_in_mid_pass_the_next_worker_does_the_rest(own_worker: WarcraftWorker) -> None:
    worker = own_worker
    worker.track_many(40)
    worker.battle_net.latency = 0.05
    first = worker.start("run", "warcraft", GUILD_SYNC_ENABLED="false")
    try:
        assert poll_until(lambda: _synced(worker) >= 8, PATIENCE)
    finally:
        first.kill()
        first.communicate()
    worker.database.wait_until_left()
    done = _synced(worker)
    assert 8 <= done < 40
    for table in ("character_equipment", "character_stats"):
        assert worker.database.count(table) == done
    assert len(worker.events()) == 3 * done
    restarted_at = time.monotonic()
    worker.battle_net.per_second = 1000  # what the first one sent counts, too
    assert worker.run(SYNC).counts["processed"] == 40 - done
    asked = worker.battle_net.asked("/character/")
    assert sum(request.at > restarted_at for request in asked) == 4 * (40 - done)
    assert len(worker.events(SYNCED)) == len({e["key"] for e in worker.events(SYNCED)}) == 40


def test_a_stop_in_mid_pass_is_quick_and_leaves_whole_characters(
    own_worker: WarcraftWorker, mock_broker: str
) -> None:
    worker = own_worker
    worker.track_many(30)
    stalled = worker.battle_net.order("/character/", times=1, delay=30.0)
    worker.battle_net.latency = 0.05
    process = worker.start("run", "warcraft", GUILD_SYNC_ENABLED="false", KAFKA_BROKERS=mock_broker)
    try:
        assert poll_until(lambda: _synced(worker) > 0, PATIENCE)
        assert stalled.times == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()
    done = _synced(worker)
    assert 0 < done < 30
    assert worker.database.one("SELECT result FROM toast_runs")["result"] == "stopped"
    assert worker.run(SYNC).counts["processed"] == 30 - done


def test_two_workers_at_once_ask_for_each_character_once(worker: WarcraftWorker) -> None:
    worker.track_many(12)
    worker.battle_net.latency = 0.05
    runs = worker.run_at_once(SYNC, SYNC)
    assert sorted(run.result for run in runs) == ["ok", "skipped"]
    assert len(worker.battle_net.asked("/character/")) == 48
    assert len(worker.events()) == 36
