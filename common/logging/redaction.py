"""Removes secrets from text that leaves the process: logs, errors, run history.

`redact` hides values registered at start, in any spelling; values that a caller passes for one
text; and patterns of secrets (passwords in URLs and connection strings, webhook URLs,
Authorization headers and cookies, tokens in JSON, forms and queries). If the end of a secret is
unclear, more is hidden.
"""

import json
import re
import threading
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, unquote, urlsplit

MASK = "***"

# As html.escape does; its module would load 2,231 character names.
_IN_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

# Shorter values are part of ordinary words and numbers: hiding "db" or "123" everywhere would
# spoil every line and reveal the secret by its gaps.
_SHORTEST = 4

_SLASH = r"(?:/|\\{1,4}/|%2F)"
_KEY = (
    r"(?:(?P<password>password|passwd|passphrase|pwd)"
    r"|token|secret|(?:access|api|private|secret|sentry|signing)[_-]?key)"
)

# No pattern begins with an unbounded repetition, so each is linear on hostile text.
_URL_PASSWORD = re.compile(
    r"""(?P<user>://[^\s/:@\[]*:)(?:[^\s/"<>]*|(?!\d{1,5}[/?\#])[^\s@]{0,200})@"""
)
# A key in the place of a user name, as in Sentry's DSNs.
_URL_KEY = re.compile(r'://(?=[^\s/:@"<>]*\d)[^\s/:@"<>]{16,}@')
# Webhook URLs of chat and automation services: the last part is the right to post.
_WEBHOOK = re.compile(
    rf"""(?P<path>{_SLASH}(?:
        api{_SLASH}(?:v\d+{_SLASH})?webhooks{_SLASH}[^\s/\\%]+
        |services{_SLASH}(?-i:T[A-Z0-9]{{6,}}){_SLASH}(?-i:B[A-Z0-9]{{6,}})
        |workflows{_SLASH}(?-i:T[A-Z0-9]{{6,}}){_SLASH}(?-i:A[A-Z0-9]{{6,}}){_SLASH}\d+
        |triggers{_SLASH}(?-i:[TE][A-Z0-9]{{6,}}){_SLASH}\d+
        |IncomingWebhook|hooks{_SLASH}catch{_SLASH}\d+|with{_SLASH}key){_SLASH})
    [^\s/\\?\#"'<>&%]+""",
    re.IGNORECASE | re.VERBOSE,
)
_QUERY = re.compile(
    r"(?P<name>(?:[?&;]|\\u0026|%26|%3F)(?:auth|code|hmac|key|sig|signature)(?:=|%3D))"
    r"[^\s\"'<>&\\]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<scheme>\bBearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(
    r"(?P<name>authorization\\*[\"']?\s*[:=]\s*\\*[\"']?"
    r"(?:(?:Basic|Bearer|Bot|Digest|Negotiate|Token)\s+)?)[^\s\"',\\]+",
    re.IGNORECASE,
)
_COOKIE = re.compile(
    r"(?P<name>\b(?:set-)?cookie\\*[\"']?\s*:\s*\\*[\"']?)[^\s\"'\\](?:[^\r\n\"'\\]|\\.)*",
    re.IGNORECASE,
)
# A secret of Standard Webhooks, a JSON web token: recognised by their beginning.
_TOKEN = re.compile(r"(?<![\w-])(?:whsec_[\w+/=-]{8,}|eyJ[\w-]{6,}\.eyJ[\w-]*(?:\.[\w-]*)?)")
_PAIR = re.compile(
    rf"(?P<key>{_KEY}\\*[\"']?\s*[:=]\s*)"
    r"(?:(?P<quote>[\"'])(?:(?!(?P=quote))[^\\]|\\.)*(?P=quote)?"
    r"|(?P<escaped>\\+[\"'])[^\"'\\]*"
    r"|(?(password)(?:[^\s\\]|\\.)+|[^\s&\"']+))",
    re.IGNORECASE | re.DOTALL,
)

# A word that looks like a token: letters between digits, digits between letters, or long.
# broker-1 does not.
_WORD = re.compile(r"[^\s/\\?&=#@:,;.\"'<>()\[\]{}|]+")
_TOKEN_LIKE = re.compile(
    r"(?=.*(?:[A-Za-z][^A-Za-z0-9]*[0-9]+[^A-Za-z0-9]*[A-Za-z]"
    r"|[0-9][^A-Za-z0-9]*[A-Za-z]+[^A-Za-z0-9]*[0-9])).{8,}|.{20,}"
)


class _Registry:
    """The registered secrets as one pattern; replaced whole, so readers need no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        with self._lock:
            self._values |= _worth_hiding(values)
            self._pattern = _pattern(self._values)

    def hide(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


_registry = _Registry()


def register(values: Iterable[str]) -> None:
    """Make `redact` hide these values, for the life of the process.

    It hides their spellings in URLs, JSON, HTML and Python, too, and user and password of a
    value that is a URL. Values shorter than four characters are ignored.
    """
    _registry.add(values)


def redact(text: str, *secrets: str) -> str:
    """Return the text with every secret replaced by `***`; idempotent.

    ``secrets`` are hidden in this text only: for secrets that are too many to register and occur
    in no other text.
    """
    if pattern := _pattern(_worth_hiding(secrets)):
        text = pattern.sub(MASK, text)
    # A replacement can complete the pattern of another secret, hence a second round.
    hidden = _hide(text)
    return hidden if hidden == text else _hide(hidden)


def cut(text: str, most: int, *secrets: str) -> str:
    """The first ``most`` characters, fewer if that would split one of these secrets.

    Call it before `redact`, which does not recognise half a secret.
    """
    pattern = _pattern(_worth_hiding(secrets))
    for found in pattern.finditer(text) if pattern else ():
        if found.start() < most < found.end():
            return text[: found.start()]
    return text[:most]


def tokens(text: str) -> list[str]:
    """The words of this text that look like secrets."""
    return [word for word in _WORD.findall(text) if _TOKEN_LIKE.fullmatch(word)]


def _hide(text: str) -> str:
    text = _registry.hide(text)
    text = _URL_PASSWORD.sub(rf"\g<user>{MASK}@", text)
    text = _URL_KEY.sub(f"://{MASK}@", text)
    text = _WEBHOOK.sub(rf"\g<path>{MASK}", text)
    text = _QUERY.sub(rf"\g<name>{MASK}", text)
    text = _BEARER.sub(rf"\g<scheme>{MASK}", text)
    text = _AUTHORIZATION.sub(rf"\g<name>{MASK}", text)
    text = _COOKIE.sub(rf"\g<name>{MASK}", text)
    text = _TOKEN.sub(MASK, text)
    return _PAIR.sub(_hide_value, text)


def _hide_value(pair: re.Match[str]) -> str:
    quote = pair["quote"] or ""
    return f"{pair['key']}{pair['escaped'] or quote}{MASK}{quote}"


def _worth_hiding(values: Iterable[str]) -> frozenset[str]:
    every = [part for value in values for part in (value, *_userinfo(value))]
    return frozenset(value for value in every if len(value) >= _SHORTEST)


def _userinfo(value: str) -> list[str]:
    try:
        parts = urlsplit(value) if "://" in value else None
    except ValueError:
        return []
    return [unquote(each) for each in (parts.username, parts.password) if each] if parts else []


def _pattern(values: Iterable[str]) -> re.Pattern[str] | None:
    # Longest first: a secret that contains another is hidden whole.
    ordered = sorted(values, key=lambda value: (-len(value), value))
    spelled = ("".join(map(_spelling, value)) for value in ordered)
    return re.compile("|".join(spelled)) if ordered else None


@cache
def _spelling(character: str) -> str:
    """A pattern for a character as URLs, JSON, HTML and Python write it."""
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    escaped = {re.escape(character), f"(?i:u{code:04x})", f"(?i:x{code:02x})"}
    # \t, \n and so on; beyond 16 bits, JSON writes a surrogate pair.
    escaped.add(re.escape(repr(character)[1:-1].lstrip("\\")))
    in_json = re.escape(json.dumps(character)[1:-1].lstrip("\\"))
    escaped.add(in_json.replace(r"\\", r"\\{1,4}"))
    encoded = quote(character.encode("utf-8", "surrogatepass"), safe="")
    others = [
        f"(?i:{encoded})",
        f"(?i:&\\#(?:{code}|x0*{code:x});)",
        re.escape(_IN_HTML.get(character, character)),
    ]
    blank = [r"\+"] if character == " " else []
    # Bounded, because a pattern may begin with it.
    return rf"(?:\\{{0,4}}(?:{'|'.join(sorted(filter(None, escaped)))})|{'|'.join(others + blank)})"
