"""Realms, guilds and characters in any spelling of a row, by Battle.net's index of realms."""

from __future__ import annotations

from typing import Any

import pytest

from devservers.standins.battle_net_game import Character, Guild, Realm, letters
from testing.warcraft_worker import AGGRA, POZZO, SILVERMOON, WarcraftWorker
from workers.warcraft.battle_net import realm_index
from workers.warcraft.battle_net.client import BattleNet
from workers.warcraft.battle_net.realm_index import PATH, RealmIndex, Realms

CHARACTERS, GUILDS = "character-sync", "guild-sync"

AZJOL = Realm("Azjol-Nerub", "azjolnerub")
GORDUNNI = Realm("Gordunni", "gordunni", "Гордунни")
FJORD = Realm("Howling Fjord", "howling-fjord", "Ревущий фьорд")
AZSHARA = Realm("Azshara", "azshara", "아즈샤라")
LIGHT = Realm("Light's Hope", "lights-hope", "聖光之願")

SPELLINGS = [
    *((AZJOL, spelling) for spelling in ("Azjol-Nerub", "azjol-nerub", "AzjolNerub", "azjolnerub")),
    *((GORDUNNI, spelling) for spelling in ("Гордунни", "гордунни", "ГОРДУННИ", "Gordunni")),
    *((FJORD, spelling) for spelling in ("Ревущий фьорд", "ревущий-фьорд", "howling-fjord")),
    *((AZSHARA, spelling) for spelling in ("아즈샤라", "azshara")),
    *((LIGHT, spelling) for spelling in ("聖光之願", "Light\N{RIGHT SINGLE QUOTATION MARK}s Hope")),
    *((POZZO, spelling) for spelling in ("Pozzo dell'Eternità", "pozzo-delleternita")),
    *(
        (AGGRA, spelling)
        for spelling in ("Aggra (Português)", "aggra-português", "AGGRA-PORTUGUÊS")
    ),
]


def asked_for_index(worker: WarcraftWorker) -> list[dict[str, str]]:
    return [request.query for request in worker.battle_net.asked(PATH)]


def test_a_realm_is_found_by_any_of_its_names_with_one_request(worker: WarcraftWorker) -> None:
    for number, (realm, spelling) in enumerate(SPELLINGS):
        worker.track(Character(f"Name{letters(number)}", realm), realm=spelling)
        worker.game.add(guild := Guild(f"Guild {number}", realm))
        guild.add(Character(f"Member{letters(number)}", realm))
        worker.track(guild, realm=spelling)
    for _ in range(2):
        for sync in (CHARACTERS, GUILDS):
            run = worker.run(sync)
            assert (run.counts["processed"], run.error) == (len(SPELLINGS), "")
        worker.database.query("UPDATE character_details SET last_synced_at = NULL")
        worker.database.query("UPDATE guilds SET last_synced_at = NULL")
    # In every language, so without a locale; both schedulers and every pass use it.
    assert asked_for_index(worker) == [{"namespace": "dynamic-eu"}]


def test_a_plain_slug_and_a_name_that_makes_no_address_need_no_index(
    worker: WarcraftWorker,
) -> None:
    worker.track(Character("Jaina", SILVERMOON), Character("Bob", AZJOL))
    worker.track(Character("Thrall", SILVERMOON), realm="Silvermoon")
    worker.database.insert("characters", name="nobody", realm="...", region="eu")
    assert worker.run(CHARACTERS).counts["processed"] == 3
    assert asked_for_index(worker) == []


def test_each_region_has_its_own_index(worker: WarcraftWorker) -> None:
    for region in ("eu", "us"):
        worker.track(Character("Bob", AZJOL, region=region), realm="Azjol-Nerub")
    assert worker.run(CHARACTERS).counts["processed"] == 2
    namespaces = {query["namespace"] for query in asked_for_index(worker)}
    assert namespaces == {"dynamic-eu", "dynamic-us"}


@pytest.mark.parametrize(
    "failure",
    [{"status": 404}, {"status": 403}, {"status": 401}, {"body": b"{}"}, {"body": b""}],
)
def test_without_the_index_the_slug_follows_from_the_name(
    worker: WarcraftWorker, caplog: pytest.LogCaptureFixture, failure: dict[str, Any]
) -> None:
    worker.track(Character("Found", POZZO), realm=POZZO.name)
    worker.track(Character("Missed", AZJOL), realm=AZJOL.name)
    order = worker.battle_net.order(PATH, **failure)
    run = worker.run(CHARACTERS)
    assert (run.counts["processed"], run.counts["not_found"]) == (1, 1)
    [said] = [each for each in caplog.records if each.message == "realm_index_failed"]
    assert "realm index" in said.toast_fields["reason"]  # type: ignore[attr-defined]
    asked = len(asked_for_index(worker))
    order.times = 0
    worker.database.query("UPDATE toast_failed_rows SET retry_at = now()")
    worker.run(CHARACTERS)
    assert len(asked_for_index(worker)) == asked  # it is asked for again in an hour


def test_an_index_is_kept_for_a_day_and_longer_if_there_is_no_new_one(
    worker: WarcraftWorker,
) -> None:
    now = 5_000.0
    index, battle_net = RealmIndex(clock=lambda: now), BattleNet(worker.load(), lambda _: False)
    worker.game.add(Character("Bob", AZJOL))

    def asked_after(seconds: float) -> int:
        nonlocal now
        now += seconds
        assert index.slug(battle_net, "eu", "Azjol-Nerub") == "azjolnerub"
        return len(asked_for_index(worker))

    day, hour = realm_index.KEPT_SECONDS, realm_index.RETRY_SECONDS
    assert [asked_after(wait) for wait in (0.0, day - 1, 1.0)] == [1, 1, 2]
    worker.battle_net.order(PATH, status=404)
    assert [asked_after(wait) for wait in (day, hour - 1, 1.0)] == [3, 3, 4]


def test_an_entry_that_cannot_be_read_costs_itself_only(
    worker: WarcraftWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.track(Character("Bob", AZJOL), realm="Azjol-Nerub")
    broken = [None, 7, {"slug": "x"}, {"name": "x"}, {"slug": "y", "name": {"en_US": 4}}]
    worker.battle_net.order(PATH, edit=lambda reply: reply["realms"].extend(broken))
    assert worker.run(CHARACTERS).counts["processed"] == 1
    [said] = [each for each in caplog.records if each.message == "reply_parts_missing"]
    assert "realm index.realms[1] is null" in said.toast_fields["missing"]  # type: ignore[attr-defined]


def test_a_name_of_two_realms_means_neither() -> None:
    realms = Realms([("one", ["Same", "Один"]), ("two", ["Same"]), ("same-too", ["Two"])])
    assert [realms.slug(name) for name in ("Same", "Один", "TWO")] == ["same", "one", "two"]


GUILD_ROWS = [
    {"name": "night's watch"},
    {"name": "NIGHT'S WATCH"},
    {"name": "nights-watch"},
    {"realm": "Azjol-Nerub"},
    {"realm": "azjol-nerub"},
    {"realm": "AZJOLNERUB"},
    {"name": "NIGHT'S WATCH", "realm": "AZJOL-NERUB"},
]


@pytest.mark.parametrize("sync", [CHARACTERS, GUILDS])
@pytest.mark.parametrize("columns", GUILD_ROWS, ids=str)
def test_a_guild_is_matched_by_any_spelling_of_its_row(
    worker: WarcraftWorker, sync: str, columns: dict[str, str]
) -> None:
    guild, bob = Guild("Night's Watch", AZJOL), Character("Bob", AZJOL)
    guild.add(bob)
    character = worker.track(bob)
    worker.database.insert("character_details", character_id=character, guild_id=None)
    worker.database.insert("guilds", name="Night's Watch", realm="azjolnerub", region="us")
    guild_id = worker.track(guild, **columns)
    assert worker.run(sync).error == ""
    assert worker.database.one("SELECT guild_id FROM character_details")["guild_id"] == guild_id


@pytest.mark.parametrize(("realm", "row"), [(GORDUNNI, "Гордунни"), (AZJOL, "Azjol-Nerub")])
@pytest.mark.parametrize("sync", [CHARACTERS, GUILDS])
def test_a_character_is_matched_by_any_spelling_of_its_row(
    worker: WarcraftWorker, sync: str, realm: Realm, row: str
) -> None:
    guild, bob = Guild("Wardens", realm), Character("Bob", realm)
    guild.add(bob)
    guild_id = worker.track(guild, realm=row)
    character = worker.track(bob, name="BOB", realm=row)
    worker.database.insert("character_details", character_id=character, guild_id=None)
    assert worker.run(sync).error == ""
    assert worker.database.one("SELECT guild_id FROM character_details")["guild_id"] == guild_id
