"""Battle.net's replies about one guild and its members, reduced to what is stored."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from common.logging import logs
from workers.warcraft.battle_net.addresses import folded, guild_path
from workers.warcraft.battle_net.client import BattleNet
from workers.warcraft.battle_net.errors import InvalidReply, NotFound
from workers.warcraft.battle_net.json_reader import Reader
from workers.warcraft.due_subjects import SyncSubject
from workers.warcraft.reference_rows import Reference

_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of classes and races by Battle.net's ids."""

    classes: Mapping[int, str]
    races: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A member; name and realm as in the characters table, class and race by name."""

    name: str
    realm: str
    rank: int
    level: int
    playable_class: str | None
    race: str | None


@dataclass(frozen=True, slots=True)
class Guild:
    """Everything that is recorded of a guild."""

    faction: Reference
    member_count: int
    achievement_points: int
    roster: tuple[Member, ...]


class GuildFetcher:
    """Fetches one guild: two requests, and two more for each region in a pass."""

    def __init__(self, battle_net: BattleNet) -> None:
        self._battle_net = battle_net
        self._lock = threading.Lock()
        self._names: dict[str, Names] = {}

    def __call__(self, subject: SyncSubject) -> Guild:
        path = guild_path(subject.realm, subject.name)
        reply = self._battle_net.get(subject.region, path, name="guild")
        roster = self._battle_net.get(subject.region, f"{path}/roster", name="roster")
        return read_guild(reply, roster, self._names_in(subject.region))

    def _names_in(self, region: str) -> Names:
        """The names of a region, fetched once per pass: a roster has only ids."""
        with self._lock:
            if region not in self._names:
                self._names[region] = Names(
                    classes=self._index(region, "playable-class", "classes"),
                    races=self._index(region, "playable-race", "races"),
                )
            return self._names[region]

    def _index(self, region: str, kind: str, name: str) -> dict[int, str]:
        path = f"/data/wow/{kind}/index"
        try:
            reply = self._battle_net.get(region, path, name=kind, namespace="static")
            return {entry.whole("id"): entry.text("name") for entry in reply.objects(name)}
        except (NotFound, InvalidReply) as error:
            # The guild is recorded without them.
            _log.warning("names_lookup_failed", region=region, reason=str(error))
            return {}


def read_guild(reply: Reader, roster: Reader, names: Names) -> Guild:
    """Read both replies. Raises InvalidReply, also for an empty roster."""
    faction = reply.object("faction")
    guild = Guild(
        faction=Reference(faction.text("type").lower(), faction.text("name")),
        member_count=reply.whole("member_count"),
        achievement_points=reply.whole("achievement_points"),
        roster=read_roster(roster, names),
    )
    # An empty list would delete every member; an existing guild always has a master.
    if guild.member_count and not guild.roster:
        raise InvalidReply(
            f"roster.members is empty, but guild.member_count is {guild.member_count}"
        )
    return guild


def read_roster(reply: Reader, names: Names) -> tuple[Member, ...]:
    """The members, each once; two realms may each have a character of the same name."""
    members = (_member(entry, names) for entry in reply.objects("members"))
    return tuple({(member.realm, member.name): member for member in members}.values())


def _member(entry: Reader, names: Names) -> Member:
    character = entry.object("character")
    return Member(
        name=folded(character.text("name")),
        realm=character.object("realm").text("slug"),
        rank=entry.whole("rank"),
        level=character.whole("level"),
        playable_class=_name(character, "playable_class", names.classes),
        race=_name(character, "playable_race", names.races),
    )


def _name(character: Reader, field: str, names: Mapping[int, str]) -> str | None:
    return names.get(character.object(field).whole("id")) if field in character else None
