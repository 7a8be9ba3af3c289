"""The realms of each region: Battle.net's slug of a realm, from any of its names.

Most slugs follow from the name, but "Azjol-Nerub" is azjolnerub, and realms with Cyrillic, Korean
or Chinese names have Latin slugs. Battle.net's index of realms has them all, in every language.
"""

import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from common.logging import logs
from workers.warcraft.battle_net import addresses
from workers.warcraft.battle_net.errors import BattleNetError, InvalidReply, StopRequested
from workers.warcraft.battle_net.json_reader import Faults, Reader

if TYPE_CHECKING:
    from workers.warcraft.battle_net.client import BattleNet

_log = logs.logger(__name__)

PATH = "/data/wow/realm/index"
KEPT_SECONDS = 24 * 3600.0
# The wait after an index that could not be had.
RETRY_SECONDS = 3600.0

# A realm of one word, and nothing that can make an address: the index would not change it.
_PLAIN = re.compile("[a-z0-9]*")


class Realms:
    """The realms of one region: their names by their slugs."""

    def __init__(self, names: Iterable[tuple[str, list[str]]] = ()) -> None:
        self._names = dict(names)
        slugs: dict[str, set[str]] = {}
        for slug, each in self._names.items():
            for name in each:
                slugs.setdefault(_key(name), set()).add(slug)
        # A name of two realms means neither; a slug means itself.
        self._slugs = {key: found.pop() for key, found in slugs.items() if len(found) == 1}
        self._slugs |= {_key(slug): slug for slug in self._names}

    def slug(self, realm: str) -> str:
        """The slug of a realm, which follows from its name if the realm is unknown."""
        if (same := addresses.folded(realm)) in self._names:
            return same
        return self._slugs.get(_key(realm)) or addresses.slug(realm)

    def spellings(self, slug: str, *names: str) -> set[str]:
        """How a row may write this realm, in lower case or as it is; ``names`` are others of it."""
        spelled = {slug}
        for name in (*self._names.get(slug, ()), *names):
            spelled |= {name, addresses.folded(name), addresses.slug(name), _key(name)}
        return spelled


class RealmIndex:
    """The realms of all regions, for this process: each region is asked for once a day.

    Safe to share between threads: one of them asks. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[Realms, float]] = {}

    def slug(self, battle_net: "BattleNet", region: str, realm: str) -> str:
        """The slug of a realm as a row writes it; most need no index."""
        derived = addresses.slug(realm)
        if _PLAIN.fullmatch(derived):
            return derived
        return self.realms(battle_net, region).slug(realm)

    def realms(self, battle_net: "BattleNet", region: str) -> Realms:
        """The realms of a region; the last known ones, or none, if there is no index."""
        key = (battle_net.url(region), region)
        with self._lock:
            realms, kept_until = self._known.get(key, (Realms(), float("-inf")))
            if self._clock() < kept_until:
                return realms
            seconds = KEPT_SECONDS
            try:
                realms = _fetch(battle_net, region)
            except StopRequested:
                raise
            except BattleNetError as error:
                seconds = RETRY_SECONDS
                _log.warning("realm_index_failed", region=region, reason=str(error))
            self._known[key] = realms, self._clock() + seconds
            return realms


def _fetch(battle_net: "BattleNet", region: str) -> Realms:
    # Without a locale: rows have the names of any language.
    name = "realm index"
    reply = battle_net.get(region, PATH, name=name, namespace="dynamic", locale="")
    faults = Faults()
    realms = list(reply.each("realms", _realm, faults))
    if str(faults):
        _log.warning("reply_parts_missing", region=region, missing=str(faults))
    if not realms:
        raise InvalidReply(f"{name} has no realm")
    return Realms(realms)


def _realm(entry: Reader) -> tuple[str, list[str]]:
    return entry.text("slug"), entry.translations("name")


def _key(name: str) -> str:
    """A name's letters and digits without accents: so much of it is the same in all spellings."""
    signs = unicodedata.normalize("NFKD", addresses.folded(name))
    return "".join(sign for sign in signs if unicodedata.category(sign)[0] in "LN")


REALMS = RealmIndex()
