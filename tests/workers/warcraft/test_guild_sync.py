"""guild-sync: the roster as Battle.net has it, and who is in which guild."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from devservers.standins.battle_net_game import Character, Guild, Realm
from testing.warcraft_worker import AGGRA, POZZO, SILVERMOON, WarcraftWorker

SYNC = "guild-sync"
SYNCED = "warcraft.guild.synced"

WOUNDED = Realm("Terrordar", "terrordar")


def members(worker: WarcraftWorker, guild: UUID) -> dict[tuple[str, str], Any]:
    rows = worker.database.query("SELECT * FROM guild_members WHERE guild_id = %s", guild)
    return {(row["character_realm"], row["character_name"]): row for row in rows}


def guild_of(worker: WarcraftWorker, character: UUID) -> Any:
    statement = "SELECT guild_id FROM character_details WHERE character_id = %s"
    return worker.database.one(statement, character)["guild_id"]


def track(worker: WarcraftWorker, character: Character, guild: UUID | None = None) -> UUID:
    """A tracked character that was synced before, in this guild."""
    character_id: UUID = worker.track(character)
    worker.database.insert("character_details", character_id=character_id, guild_id=guild)
    return character_id


# --- the guild --------------------------------------------------------------------------------


def test_a_guild_is_updated_and_announced(worker: WarcraftWorker) -> None:
    guild = Guild("Night's Watch", AGGRA, faction="Alliance", achievement_points=2_345)
    guild.add(Character("Jon", AGGRA), Character("Samwell", SILVERMOON))
    guild_id = worker.track(guild)
    run = worker.run(SYNC)
    assert (run.result, run.error) == ("ok", "")
    assert run.counts == {
        "processed": 1,
        "events": 1,
        "failed": 0,
        "members_written": 2,
        "members_left": 0,
        "characters_joined": 0,
        "characters_left": 0,
    }
    row = worker.database.one("SELECT * FROM guilds")
    assert (row["member_count"], row["achievement_points"]) == (2, 2_345)
    assert row["last_synced_at"] == row["updated_at"] > row["created_at"]
    faction = worker.database.one("SELECT * FROM factions WHERE id = %s", row["faction_id"])
    assert (faction["key"], faction["name"]) == ("alliance", "Alliance")
    (event,) = worker.events()
    assert (event["topic"], event["key"]) == (SYNCED, str(guild_id))
    assert event["data"] == {
        "guild_id": str(guild_id),
        "name": "Night's Watch",
        "realm": "aggra-português",
        "region": "eu",
        "faction": "Alliance",
        "member_count": 2,
        "achievement_points": 2_345,
        "synced_at": event["synced_at"],
    }


def test_names_with_spaces_apostrophes_and_accents_reach_the_right_address(
    worker: WarcraftWorker,
) -> None:
    targets = {
        "/aggra-portugu%C3%AAs/nights-watch": Guild("Night's Watch", AGGRA),
        "/pozzo-delleternit%C3%A0/legi%C3%A3o-do-caos": Guild("Legião do Caos", POZZO),
        "/gordunni/%D0%BF%D1%80%D0%BE": Guild("Про", Realm("Гордунни", "gordunni")),
    }
    worker.track(*targets.values())
    assert worker.run(SYNC).counts["processed"] == 3
    raw = {request.target for request in worker.battle_net.asked("/guild/")}
    query = "?namespace=profile-eu&locale=en_US"
    ends = [query, f"/roster{query}"]
    assert raw == {f"/data/wow/guild{target}{end}" for target in targets for end in ends}


def test_what_was_synced_within_nine_tenths_of_the_interval_is_left_alone(
    worker: WarcraftWorker,
) -> None:
    now = datetime.now(UTC)
    for name, hours in (("Fresh", 10.7), ("Stale", 10.9)):
        worker.track(Guild(name, SILVERMOON), last_synced_at=now - timedelta(hours=hours))
    worker.track(Guild("Never", SILVERMOON), Guild("American", SILVERMOON, region="us"))
    worker.track(Guild("Deleted", SILVERMOON), deleted_at=now)
    assert worker.preview(SYNC).count == 3
    assert worker.run(SYNC, GUILD_SYNC_INTERVAL="12h").counts["processed"] == 3
    assert {event["name"] for event in worker.events()} == {"Stale", "Never", "American"}
    worker.battle_net.requests.clear()
    assert worker.run(SYNC).counts["processed"] == 0
    assert worker.battle_net.requests == []


# --- its members ------------------------------------------------------------------------------


def test_members_are_made_equal_to_the_roster(worker: WarcraftWorker) -> None:
    guild, other = Guild("Wardens", SILVERMOON), Guild("Others", SILVERMOON)
    master = Character("Maiev", SILVERMOON, level=80, race="Night Elf", playable_class="Hunter")
    leaver, riser, steady = (Character(name, SILVERMOON) for name in ("Leaver", "Riser", "Steady"))
    guild.add(master, rank=0)
    guild.add(leaver, riser, steady)
    guild_id, other_id = worker.track(guild), worker.track(other)
    other.add(Character("Leaver", WOUNDED), Character("Riser", WOUNDED))
    worker.run(SYNC)
    before = members(worker, guild_id)
    bystanders = members(worker, other_id)
    assert len(before) == 4
    row = before["silvermoon", "maiev"]
    assert (row["rank"], row["level"]) == (0, 80)
    assert (row["class"], row["race"]) == ("Hunter", "Night Elf")

    guild.remove(leaver)
    riser.level = 81
    guild.add(riser, rank=1)
    newcomer = Character("Ägiel", AGGRA)
    guild.add(newcomer)
    worker.make_due()
    counts = worker.run(SYNC).counts
    assert (counts["members_written"], counts["members_left"]) == (2, 1)
    after = members(worker, guild_id)
    assert set(after) == {
        ("silvermoon", "maiev"),
        ("silvermoon", "riser"),
        ("silvermoon", "steady"),
        ("aggra-português", "ägiel"),
    }
    assert (after["silvermoon", "riser"]["rank"], after["silvermoon", "riser"]["level"]) == (1, 81)
    for unchanged in (("silvermoon", "maiev"), ("silvermoon", "steady")):
        assert after[unchanged] == before[unchanged]
    assert after["silvermoon", "riser"]["created_at"] == before["silvermoon", "riser"]["created_at"]
    assert members(worker, other_id) == bystanders


def test_connected_realms_are_kept_apart(worker: WarcraftWorker) -> None:
    guild = Guild("Wardens", SILVERMOON)
    here, there = Character("Twin", SILVERMOON, level=70), Character("Twin", WOUNDED, level=80)
    guild.add(here, there)
    guild_id = worker.track(guild)
    here_id, there_id = track(worker, here), track(worker, there)
    worker.run(SYNC)
    levels = {realm: row["level"] for (realm, _), row in members(worker, guild_id).items()}
    assert levels == {"silvermoon": 70, "terrordar": 80}
    guild.remove(here)
    worker.make_due()
    worker.run(SYNC)
    assert set(members(worker, guild_id)) == {("terrordar", "twin")}
    assert (guild_of(worker, here_id), guild_of(worker, there_id)) == (None, guild_id)


def test_tracked_characters_follow_their_guild(worker: WarcraftWorker) -> None:
    guild, other = Guild("Wardens", SILVERMOON), Guild("Others", SILVERMOON)
    guild_id, other_id = worker.track(guild), worker.track(other)
    joiner, leaver, mover, steady, stranger = (
        Character(name, SILVERMOON) for name in ("Joiner", "Leaver", "Mover", "Steady", "Stranger")
    )
    american = Character("Joiner", SILVERMOON, region="us")
    guild.add(joiner, mover, steady)
    joiner_id, american_id = track(worker, joiner), track(worker, american)
    leaver_id, mover_id = track(worker, leaver, guild_id), track(worker, mover, other_id)
    steady_id, stranger_id = track(worker, steady, guild_id), track(worker, stranger, other_id)
    other.add(stranger)
    never_synced = worker.track(Character("Unknown", SILVERMOON))
    guild.add(worker.game.characters["eu", "silvermoon", "unknown"])
    updated_at = worker.database.one(
        "SELECT updated_at FROM character_details WHERE character_id = %s", steady_id
    )
    counts = worker.run(SYNC).counts
    assert counts["characters_joined"] == 2
    # One left for nowhere; the one who moved left first where that guild came first.
    assert counts["characters_left"] in (1, 2)
    assert guild_of(worker, joiner_id) == guild_of(worker, mover_id) == guild_id
    assert guild_of(worker, steady_id) == guild_id
    assert guild_of(worker, leaver_id) is None
    assert guild_of(worker, american_id) is None
    assert guild_of(worker, stranger_id) == other_id
    assert updated_at == worker.database.one(
        "SELECT updated_at FROM character_details WHERE character_id = %s", steady_id
    )
    assert worker.database.count("character_details WHERE character_id = %s", never_synced) == 0


def test_the_names_of_classes_and_races_are_asked_for_once_a_region(worker: WarcraftWorker) -> None:
    for number, region in enumerate(["eu", "eu", "us"]):
        guild = Guild(f"Guild {'abc'[number]}", SILVERMOON, region=region)
        guild.add(Character("Maiev", SILVERMOON, playable_class="Demon Hunter", region=region))
        worker.track(guild)
    assert worker.run(SYNC).counts["processed"] == 3
    indexes = worker.battle_net.asked("playable-class/index")
    assert sorted(request.query["namespace"] for request in indexes) == ["static-eu", "static-us"]
    assert len(worker.battle_net.asked("playable-race/index")) == 2
    rows = worker.database.query("SELECT DISTINCT class, race FROM guild_members")
    assert [tuple(row.values()) for row in rows] == [("Demon Hunter", "Orc")]


def test_a_roster_is_stored_even_without_names_of_classes_and_races(worker: WarcraftWorker) -> None:
    guild = Guild("Wardens", SILVERMOON)
    guild.add(Character("Maiev", SILVERMOON))
    guild_id = worker.track(guild)
    worker.battle_net.order("playable-class/index", status=404)
    worker.battle_net.order("playable-race/index", body=b"{}")
    assert worker.run(SYNC).counts["processed"] == 1
    (row,) = members(worker, guild_id).values()
    assert (row["class"], row["race"], row["level"]) == (None, None, 80)


def test_a_character_that_is_listed_twice_is_one_member(worker: WarcraftWorker) -> None:
    guild = Guild("Wardens", SILVERMOON)
    guild.add(Character("Maiev", SILVERMOON))
    guild_id = worker.track(guild)
    worker.battle_net.order("/roster", edit=lambda reply: reply["members"].extend(reply["members"]))
    assert worker.run(SYNC).counts["processed"] == 1
    assert len(members(worker, guild_id)) == 1


# --- what goes wrong --------------------------------------------------------------------------


def test_one_invalid_guild_names_its_field_and_stops_no_other(worker: WarcraftWorker) -> None:
    orders: dict[str, tuple[dict[str, Any], str]] = {
        "/gone": ({"status": 404}, ""),
        "/pointless": ({"body": b"{}"}, "guild.faction is missing"),
        "/crestfallen": ({"body": b"<html>"}, "guild is not JSON"),
        "/homeless/roster": ({"status": 403}, "roster: HTTP 403"),
    }
    ids = {}
    for number, path in enumerate(orders):
        name = path.split("/")[1]
        guild = Guild(name.title(), SILVERMOON)
        guild.add(Character(f"Member{'abcd'[number]}", SILVERMOON))
        ids[name] = worker.track(guild)
        worker.database.insert(
            "guild_members", guild_id=ids[name], character_name="x", character_realm="y"
        )
    fine = Guild("Fine", SILVERMOON)
    fine.add(Character("Maiev", SILVERMOON))
    worker.track(fine)
    for path, (order, _) in orders.items():
        worker.battle_net.order(path, **order)
    run = worker.run(SYNC)
    assert (run.result, run.counts["processed"]) == ("ok", 1)
    assert (run.counts["failed"], run.counts["not_found"]) == (3, 1)
    reasons = worker.failures()
    for path, (_, reason) in orders.items():
        name = path.split("/")[1]
        assert reason in reasons[ids[name]]
        assert set(members(worker, ids[name])) == {("y", "x")}  # nothing was taken away
    assert run.error.startswith("guild ")
    assert [event["name"] for event in worker.events()] == ["Fine"]


def test_a_guild_deleted_while_it_was_asked_for_stays_deleted(worker: WarcraftWorker) -> None:
    guild = Guild("Wardens", SILVERMOON)
    maiev = Character("Maiev", SILVERMOON)
    guild.add(maiev)
    guild_id = worker.track(guild)
    character_id = track(worker, maiev)
    worker.battle_net.order(
        "/roster", edit=lambda reply: worker.database.query("UPDATE guilds SET deleted_at = now()")
    )
    assert worker.run(SYNC).counts["processed"] == 0
    assert (members(worker, guild_id), worker.events()) == ({}, [])
    assert guild_of(worker, character_id) is None


def test_a_roster_is_written_whole_or_not_at_all(own_worker: WarcraftWorker) -> None:
    worker = own_worker
    guild = Guild("Wardens", SILVERMOON)
    guild.add(Character("Maiev", SILVERMOON), Character("Cursed", SILVERMOON))
    guild_id = worker.track(guild)
    worker.database.insert(
        "guild_members", guild_id=guild_id, character_name="old", character_realm="silvermoon"
    )
    worker.database.query(
        "ALTER TABLE guild_members ADD CONSTRAINT uncursed CHECK (character_name <> 'cursed')"
    )
    run = worker.run(SYNC)
    assert (run.counts["processed"], run.counts["failed"]) == (0, 1)
    assert "guild Wardens of silvermoon (eu): CheckViolation" in run.error
    assert set(members(worker, guild_id)) == {("silvermoon", "old")}
    assert worker.events() == []


def test_both_syncs_at_once_agree_and_create_each_reference_row_once(
    worker: WarcraftWorker,
) -> None:
    for number in range(6):
        guild = Guild(f"Guild {'abcdef'[number]}", SILVERMOON)
        worker.track(guild)
        for place in range(2):
            character = Character(f"Name{'abcdef'[number]}{'xy'[place]}", SILVERMOON)
            guild.add(character)
            worker.track(character)
    worker.battle_net.latency = 0.02
    runs = worker.run_at_once(SYNC, "character-sync")
    assert [run.counts["processed"] for run in runs] == [6, 12]
    assert worker.battle_net.most_in_flight <= 8
    assert [worker.database.count(table) for table in ("factions", "races", "classes")] == [1, 1, 1]
    wrong = worker.database.query(
        "SELECT 1 AS wrong FROM character_details d JOIN characters c ON c.id = d.character_id"
        " LEFT JOIN guild_members m ON m.character_name = c.name AND m.guild_id = d.guild_id"
        " WHERE m.guild_id IS NULL"
    )
    assert (worker.database.count("guild_members"), wrong) == (12, [])
