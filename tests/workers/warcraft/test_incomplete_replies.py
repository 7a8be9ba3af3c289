"""Both warcraft syncs: what Battle.net leaves out or spoils costs no more than itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devservers.standins.battle_net_game import Character, Guild, letters
from testing.warcraft_worker import SILVERMOON, WarcraftWorker

CHARACTERS, GUILDS = "character-sync", "guild-sync"
SYNCED = "warcraft.character.synced"
EQUIPMENT_UPDATED = "warcraft.character.equipment.updated"
STATS_UPDATED = "warcraft.character.stats.updated"

Document = dict[str, Any]
Edit = Callable[[Document], object]


def put(path: str, value: object) -> Edit:
    """Set a field; its path goes through objects and lists."""

    def edit(reply: Any) -> None:
        *outer, name = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in outer:
            reply = reply[step]
        reply[name] = value

    return edit


def every_number(convert: Callable[[float], object]) -> Edit:
    """Convert all numbers of a reply."""

    def convert_all(value: Any) -> Any:
        if isinstance(value, dict):
            value.update({name: convert_all(each) for name, each in value.items()})
        elif isinstance(value, list):
            value[:] = map(convert_all, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return convert(value)
        return value

    return convert_all


def without_anything(reply: Document) -> None:
    reply.clear()


FLOATS, TEXTS = every_number(float), every_number(str)
GONE = 404

# Of a part of a reply: what is done to it, what the log says of that, and what stays as stored.
SPOILED: list[tuple[str, Edit | int, str, set[str]]] = [
    # Numbers in other forms are numbers.
    *(("/", numbers, "", set[str]()) for numbers in (FLOATS, TEXTS)),
    # Each value of the profile by itself: missing, or not what it should be.
    ("", put("level", None), "profile.level is missing", {"level"}),
    ("", put("level", 80.5), "profile.level is 80.5, not a whole number from 0", {"level"}),
    ("", put("level", -1), "profile.level is -1, not a whole number from 0", {"level"}),
    ("", put("level", True), "profile.level is a boolean, not a number", {"level"}),
    ("", put("level", "eighty"), "profile.level is text, not a number", {"level"}),
    ("", put("level", 10**30), "profile.level is out of range", {"level"}),
    ("", put("equipped_item_level", {}), "equipped_item_level is an object", {"item_level"}),
    ("", put("achievement_points", None), "points is missing", {"achievement_points"}),
    ("", put("faction", None), "profile.faction is missing", {"faction_id", "race_id"}),
    ("", put("faction.name", {"en_US": "x"}), "faction.name is an obj", {"faction_id", "race_id"}),
    ("", put("race", None), "profile.race is missing", {"race_id"}),
    ("", put("race.name", None), "profile.race.name is missing", {"race_id"}),
    ("", put("character_class", "Mage"), "profile.character_class is text", {"class_id"}),
    ("", put("realm", []), "profile.realm is a list, not an object", set()),
    ("", put("guild.realm", None), "profile.guild.realm is missing", {"guild_id"}),
    ("", put("guild", "Wardens"), "profile.guild is text, not an object", {"guild_id"}),
    # The other parts: whole, and value by value.
    ("/equipment", GONE, "equipment: HTTP 404", {"equipment"}),
    ("/equipment", without_anything, "equipment.equipped_items is missing", {"equipment"}),
    ("/equipment", put("equipped_items", {}), "equipped_items is an object", {"equipment"}),
    ("/equipment", put("equipped_items.3", 4), "equipped_items[3] is a number", set()),
    ("/equipment", put("equipped_items.3.slot", None), "equipped_items[3].slot is miss", set()),
    ("/equipment", put("equipped_items.3.level.value", None), "level.value is missing", set()),
    ("/statistics", GONE, "statistics: HTTP 404", {"stats"}),
    ("/statistics", without_anything, "statistics.health is missing", {"stats"}),
    ("/statistics", put("health", None), "statistics.health is missing", set()),
    ("/statistics", put("strength", 4), "statistics.strength is a number, not an obj", set()),
    ("/statistics", put("mastery.value", float("inf")), "mastery.value is out of range", set()),
    ("/character-media", GONE, "", set()),
    ("/character-media", put("assets", ["x"]), "media.assets[0] is text, not an object", set()),
]


def spoil(worker: WarcraftWorker, subject: str, part: str, how: Edit | int) -> None:
    """Spoil one part of what is asked about a subject; "" is the first, and "/" means all."""
    order = {"status": how} if isinstance(how, int) else {"edit": how}
    times = {"times": 1} if part == "" else {}
    worker.battle_net.order(f"{subject}{part}".removesuffix("/"), **order, **times)


def stored(worker: WarcraftWorker) -> dict[str, Document]:
    """What is stored of every character, by its name."""
    rows = worker.database.query(
        "SELECT name, level, item_level, achievement_points, class_id, race_id, faction_id,"
        " guild_id, thumbnail_url, equipment_json AS equipment, stats_json AS stats"
        " FROM characters AS c LEFT JOIN character_details AS d ON d.character_id = c.id"
        " LEFT JOIN character_equipment AS e ON e.character_id = c.id"
        " LEFT JOIN character_stats AS s ON s.character_id = c.id"
    )
    return {row["name"]: row for row in rows}


def reported(caplog: pytest.LogCaptureFixture, kind: str) -> dict[str, str]:
    """What the log says is missing, by the subject's name."""
    fields = [getattr(record, "toast_fields", {}) for record in caplog.records]
    return {
        str(each[kind]).partition(" of ")[0]: str(each["missing"])
        for each in fields
        if "missing" in each
    }


def test_what_is_told_of_a_character_is_stored_and_the_rest_is_kept(
    worker: WarcraftWorker, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = Guild("Wardens", SILVERMOON), Guild("Others", SILVERMOON)
    worker.track(old, new)
    characters = [
        Character(f"Name{letters(n)}", SILVERMOON) for n in range(100, 100 + len(SPOILED))
    ]
    old.add(*characters)
    worker.track(*characters)
    worker.run(CHARACTERS)
    before = stored(worker)
    worker.make_due()
    new.add(*characters)
    for each, (part, how, _, _) in zip(characters, SPOILED, strict=True):
        each.level, each.item_level, each.achievement_points = 81, 633, 7
        each.race, each.playable_class, each.faction = "Human", "Mage", "Alliance"
        each.strength, each.gear["HEAD"] = 4, "Crown"
        spoil(worker, f"/{each.name.lower()}", part, how)
    run = worker.run(CHARACTERS)

    incomplete = sum(bool(missing) for _, _, missing, _ in SPOILED)
    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", len(SPOILED), 0)
    assert run.counts["incomplete"] == incomplete
    after, said = stored(worker), reported(caplog, "character")
    assert len(said) == incomplete
    topics: dict[str, list[Document]] = {}
    for event in worker.events():
        topics.setdefault(event["name"], []).append(event)
    for each, (_, _, missing, kept) in zip(characters, SPOILED, strict=True):
        name = each.name.lower()
        assert missing in said.get(name, "")
        changed = {column for column, value in after[name].items() if value != before[name][column]}
        assert kept == before[name].keys() - changed - {"name", "thumbnail_url"}, missing
        assert after[name]["thumbnail_url"] == before[name]["thumbnail_url"]
        synced, *others = topics[name]
        assert {event["topic"] for event in others} == {
            *(() if "equipment" in kept else (EQUIPMENT_UPDATED,)),
            *(() if "stats" in kept else (STATS_UPDATED,)),
        }
        names = {f"{column.removesuffix('_id')}_name" for column in kept if column != "guild_id"}
        assert not names & synced.keys()
        assert synced["level"] == after[name]["level"]


def test_a_value_that_is_missing_is_missing_in_equipment_and_stats(worker: WarcraftWorker) -> None:
    worker.track(Character("Thrall", SILVERMOON, gear={"HEAD": "Crown", "BACK": "Cloak"}))
    worker.battle_net.order("/equipment", edit=put("equipped_items.1.level.value", None), times=1)
    worker.battle_net.order("/statistics", edit=put("strength.effective", None), times=1)
    worker.run(CHARACTERS)
    row = stored(worker)["thrall"]
    back, head = row["equipment"]
    assert (back["level"], head["level"]["value"]) == ({"display_string": "Item Level 619"}, 619)
    assert (row["stats"]["strength"], row["stats"]["health"]) == ({"base": 17_647}, 8_412_340)


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (put("level", None), (1, 0, "")),
        (put("realm", None), (1, 0, "")),
        (put("race", None), (0, 1, "(profile.race is missing)")),
        (put("faction", None), (0, 1, "(profile.faction is missing)")),
        (put("character_class", None), (0, 1, "(profile.character_class is missing)")),
    ],
)
def test_a_new_character_needs_what_cannot_be_kept(
    worker: WarcraftWorker, how: Edit, outcome: tuple[int, int, str]
) -> None:
    worker.track(Character("Thrall", SILVERMOON))
    worker.battle_net.order("/thrall", edit=how, times=1)
    run = worker.run(CHARACTERS)
    processed, failed, reason = outcome
    assert (run.counts["processed"], run.counts["failed"]) == (processed, failed)
    assert reason in run.error
    assert worker.database.count("character_equipment") == processed


# Of a guild: the part, what is done to it, what the log says, and what stays as stored; "gone" is
# a member that left, "rank" that of one who rose.
ALL_MEMBERS = {"gone", "rank", "level", "class"}
SPOILED_GUILDS: list[tuple[str, Edit | int, str, set[str]]] = [
    *(("/", numbers, "", set[str]()) for numbers in (FLOATS, TEXTS)),
    ("", put("crest", "x"), "", set()),
    ("", put("name", None), "", set()),
    ("", put("achievement_points", None), "points is missing", {"achievement_points"}),
    ("", put("member_count", [1]), "guild.member_count is a list", {"member_count"}),
    ("", put("faction", None), "guild.faction is missing", {"faction_id"}),
    ("/roster", GONE, "roster: HTTP 404", ALL_MEMBERS),
    ("/roster", put("members", None), "roster.members is missing", ALL_MEMBERS),
    ("/roster", put("members", []), "roster.members is empty, but guild", ALL_MEMBERS),
    ("/roster", put("members", {}), "roster.members is an object", ALL_MEMBERS),
    ("/roster", put("members.1", None), "roster.members[1] is null", {"gone"}),
    ("/roster", put("members.0.character.realm.slug", None), "realm.slug is missing", ALL_MEMBERS),
    ("/roster", put("members.0.rank", None), "members[0].rank is missing", {"rank"}),
    ("/roster", put("members.0.character.level", "x"), "level is text", {"level"}),
    ("/roster", put("members.0.character.playable_class", 7), "class is a number", {"class"}),
    ("/roster", put("members.0.character.playable_class", None), "", {"class"}),
]


def test_what_is_told_of_a_guild_is_stored_and_the_rest_is_kept(
    worker: WarcraftWorker, caplog: pytest.LogCaptureFixture
) -> None:
    guilds = [
        Guild(f"G{letters(100 + number)}", SILVERMOON) for number in range(len(SPOILED_GUILDS))
    ]
    for guild in guilds:
        members = [
            Character(f"{name}{guild.name}", SILVERMOON) for name in ("Riser", "S", "Leaver")
        ]
        guild.add(*members)
        worker.track(guild)
        worker.database.insert("character_details", character_id=worker.track(members[-1]))
    worker.run(GUILDS)
    before = stored_guilds(worker)
    worker.make_due()
    for guild, (part, how, _, _) in zip(guilds, SPOILED_GUILDS, strict=True):
        (riser, _), _, (leaver, _) = guild.members.values()
        guild.achievement_points, guild.faction = 7, "Alliance"
        guild.remove(leaver)
        riser.level, riser.playable_class = 81, "Mage"
        guild.members[riser.key] = (riser, 1)
        spoil(worker, f"/{guild.name.lower()}", part, how)
    run = worker.run(GUILDS)

    total, after, said = len(guilds), stored_guilds(worker), reported(caplog, "guild")
    assert (run.result, run.counts["processed"], run.counts["failed"]) == ("ok", total, 0)
    assert len(said) == sum(bool(missing) for _, _, missing, _ in SPOILED_GUILDS)
    events = {event["name"]: event for event in worker.events()}
    assert (len(events), run.counts["incomplete"]) == (total, len(said))
    for guild, (_, _, missing, kept) in zip(guilds, SPOILED_GUILDS, strict=True):
        assert missing in said.get(guild.name, "")
        row = after[guild.name]
        same = {column for column, value in row.items() if value == before[guild.name][column]}
        assert same == kept | {"name"}, missing
        assert ("faction" in events[guild.name]) == ("faction_id" not in kept)
        assert events[guild.name]["member_count"] == row["member_count"]


def stored_guilds(worker: WarcraftWorker) -> dict[str, Document]:
    """What is stored of every guild, of its member that rises and of the one that leaves."""
    rows = worker.database.query(
        "SELECT g.name, g.faction_id, g.member_count, g.achievement_points,"
        " m.rank, m.level, m.class, (SELECT count(*) FROM guild_members WHERE guild_id = g.id)"
        " + (SELECT count(*) FROM character_details WHERE guild_id = g.id) AS gone"
        " FROM guilds AS g JOIN guild_members AS m"
        " ON m.guild_id = g.id AND m.character_name LIKE 'riser%'"
    )
    return {row["name"]: row for row in rows}
