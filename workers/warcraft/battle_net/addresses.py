"""The URLs of Battle.net: hosts by region, and paths from names of the game."""

import unicodedata
from urllib.parse import quote, urlsplit

from workers.warcraft.battle_net.errors import Unaddressable

REGIONS = ("us", "eu", "kr", "tw", "cn")

_API = "https://{region}.api.blizzard.com"
_OAUTH = "https://oauth.battle.net"
# China has its own operator and hosts.
_CHINESE_API = "https://gateway.battlenet.com.cn"
_CHINESE_OAUTH = "https://oauth.battlenet.com.cn"


def parse_override(text: str) -> str:
    """Check the address of a host to call instead of Battle.net's; '' means none.

    Raises ValueError with a short reason.
    """
    if not text:
        return ""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("holds a sign that no address has")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https address")
    if parts.username is not None or parts.query or parts.fragment or parts.port == 0:
        raise ValueError("holds more than a host, a port and a path")
    return text.rstrip("/")


def api_url(region: str, override: str = "") -> str:
    """The API's address in a region, without a slash at its end. Raises Unaddressable."""
    if region not in REGIONS:
        raise Unaddressable(f"region is {region!r}; expected one of {', '.join(REGIONS)}")
    if override:
        return override
    return _CHINESE_API if region == "cn" else _API.format(region=region)


def token_url(region: str, override: str = "") -> str:
    """The token URL of a region; an override may be the host or the complete URL."""
    host = override or (_CHINESE_OAUTH if region == "cn" else _OAUTH)
    return host if host.endswith("/token") else f"{host}/token"


def character_path(realm: str, name: str) -> str:
    """The path of a character, by the slug of its realm."""
    return f"/profile/wow/character/{_segment('realm', realm)}/{_segment('name', name)}"


def guild_path(realm: str, name: str) -> str:
    """The path of a guild, by the slug of its realm."""
    return f"/data/wow/guild/{_segment('realm', realm)}/{_segment('name', slug(name))}"


def slug(name: str) -> str:
    """The slug of a guild's name, and of most realms'; a slug stays the same.

    Lower case, words joined by '-', other characters removed; accents stay: "Pozzo
    dell'Eternità" is pozzo-delleternità, "Aggra (Português)" is aggra-português.
    """
    letters = (letter for letter in folded(name) if letter in "- " or _is_letter(letter))
    return "-".join("".join(letters).split())


def folded(name: str) -> str:
    """A name as in the live tables: lower case, composed accents (NFC)."""
    return unicodedata.normalize("NFC", name).lower()


def _segment(field: str, text: str) -> str:
    """Lower case before encoding: Battle.net knows only ä, not %C3%84 (Ä)."""
    if not any(map(_is_letter, text)):
        raise Unaddressable(f"{field} is {text!r}, which makes no address")
    return quote(folded(text), safe="")


def _is_letter(sign: str) -> bool:
    """Letters, digits, and the combining marks of some scripts."""
    return unicodedata.category(sign)[0] in "LMN"
