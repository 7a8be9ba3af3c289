"""Battle.net's replies about one guild and its members, reduced to what is stored."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.logging import logs
from workers.warcraft.battle_net.addresses import folded, guild_path
from workers.warcraft.battle_net.client import BattleNet
from workers.warcraft.battle_net.errors import InvalidReply, NotFound
from workers.warcraft.battle_net.json_reader import Faults, Reader
from workers.warcraft.battle_net.realm_index import REALMS
from workers.warcraft.due_subjects import SyncSubject
from workers.warcraft.reference_rows import Reference, read_faction

_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of classes and races by Battle.net's ids."""

    classes: Mapping[int, str]
    races: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A member; name and realm as in the characters table, class and race by name.

    None is what Battle.net does not tell.
    """

    name: str
    realm: str
    rank: int | None
    level: int | None
    playable_class: str | None
    race: str | None


@dataclass(frozen=True, slots=True)
class Roster:
    """The members that can be read; ``is_whole`` if these are all of them.

    ``spellings`` are pairs of a realm of theirs and a way in which a row may write it.
    """

    members: tuple[Member, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Guild:
    """Everything that is recorded of a guild; None is what Battle.net does not tell.

    ``missing`` says what could not be used, '' if nothing.
    """

    faction: Reference | None
    member_count: int | None
    achievement_points: int | None
    roster: Roster = Roster()
    missing: str = ""


class GuildFetcher:
    """Fetches one guild: two requests, and two more for each region in a pass."""

    def __init__(self, battle_net: BattleNet) -> None:
        self._battle_net = battle_net
        self._lock = threading.Lock()
        self._names: dict[str, Names] = {}

    def __call__(self, subject: SyncSubject) -> Guild:
        region, faults = subject.region, Faults()
        realm = REALMS.slug(self._battle_net, region, subject.realm)
        path = guild_path(realm, subject.name)
        guild = read_guild(self._battle_net.get(region, path, name="guild"), faults)
        roster = self._roster(region, f"{path}/roster", guild, faults)
        return replace(guild, roster=roster, missing=str(faults))

    def _roster(self, region: str, path: str, guild: Guild, faults: Faults) -> Roster:
        """The roster; an empty one that is not whole if Battle.net has none."""
        try:
            reply = self._battle_net.get(region, path, name="roster")
        except NotFound as error:
            faults.note(error)
            return Roster()
        names = self._names_in(region)
        roster = faults.part(read_roster, reply, guild.member_count, names, faults)
        return replace(roster, spellings=self._spellings(region, roster)) if roster else Roster()

    def _spellings(self, region: str, roster: Roster) -> tuple[tuple[str, str], ...]:
        if not roster.members:
            return ()
        realms = REALMS.realms(self._battle_net, region)
        slugs = sorted({member.realm for member in roster.members})
        return tuple((slug, each) for slug in slugs for each in sorted(realms.spellings(slug)))

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
        path, faults = f"/data/wow/{kind}/index", Faults()
        try:
            reply = self._battle_net.get(region, path, name=kind, namespace="static")
            found = reply.each(name, lambda entry: (entry.whole("id"), entry.text("name")), faults)
        except (NotFound, InvalidReply) as error:
            # The guild is recorded without them.
            faults.note(error)
            found = []
        if str(faults):
            _log.warning("names_lookup_failed", region=region, reason=str(faults))
        return dict(found)


def read_guild(reply: Reader, faults: Faults) -> Guild:
    """Read the guild without its roster. Raises InvalidReply if it tells nothing of the guild."""
    guild = Guild(
        faction=faults.part(read_faction, reply),
        member_count=faults.part(reply.whole, "member_count"),
        achievement_points=faults.part(reply.whole, "achievement_points"),
    )
    if guild == Guild(None, None, None):
        raise InvalidReply(str(faults))
    return guild


def read_roster(reply: Reader, count: int | None, names: Names, faults: Faults) -> Roster:
    """Read the roster. Raises InvalidReply for an empty one unless the guild's ``count`` is 0."""
    members = reply.each("members", lambda entry: _member(entry, names, faults), faults)
    listed = reply.size("members")
    # An empty list would delete every member; an existing guild always has a master.
    if not listed and count != 0:
        raise InvalidReply(f"roster.members is empty, but guild.member_count is {count}")
    # Each once; two realms may each have a character of the same name.
    once = {(member.realm, member.name): member for member in members}
    return Roster(tuple(once.values()), is_whole=len(members) == listed)


def _member(entry: Reader, names: Names, faults: Faults) -> Member:
    part = faults.part
    character = entry.object("character")
    return Member(
        name=folded(character.text("name")),
        realm=character.text("realm", "slug"),
        rank=part(entry.whole, "rank"),
        level=part(character.whole, "level"),
        playable_class=part(_name, character, "playable_class", names.classes),
        race=part(_name, character, "playable_race", names.races),
    )


def _name(character: Reader, field: str, names: Mapping[int, str]) -> str | None:
    return names.get(character.whole(field, "id")) if field in character else None
