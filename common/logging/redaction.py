"""Removes secrets from text that leaves the process: logs, errors, run history.

`redact` hides values registered at start, in any spelling; values that a caller passes for one
text; and what has the shape of a secret (`_SHAPES`). If the end of a secret is unclear, more is
hidden.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple
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


class _Shape(NamedTuple):
    """A shape of secrets in any text: what it is, one with SECRET in it, and what replaces it."""

    name: str
    example: str
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _pair_without_value(pair: re.Match[str]) -> str:
    quote = pair["quote"] or ""
    return f"{pair['kept']}{pair['escaped'] or quote}{MASK}{quote}"


_KEPT = rf"\g<kept>{MASK}"

# No pattern begins with an unbounded repetition, so each is linear on hostile text.
_SHAPES = (
    _Shape(
        "password in a URL",
        "https://user:SECRET@host/",
        re.compile(r"""(?P<kept>://[^\s/:@\[]*:)(?:[^\s/"<>]*|(?!\d{1,5}[/?\#])[^\s@]{0,200})@"""),
        rf"{_KEPT}@",
    ),
    _Shape(
        "key in the place of a URL's user, as in Sentry's DSNs",
        "https://0123456789abcdefSECRET@sentry.example.org/1",
        re.compile(r'(?P<kept>://)(?=[^\s/:@"<>]*\d)[^\s/:@"<>]{16,}@'),
        rf"{_KEPT}@",
    ),
    _Shape(
        "webhook URL of a chat or automation service, whose last part is the right to post",
        "https://host/api/webhooks/123/SECRET",
        re.compile(
            rf"""(?P<kept>{_SLASH}(?:
                api{_SLASH}(?:v\d+{_SLASH})?webhooks{_SLASH}[^\s/\\%]+
                |services{_SLASH}(?-i:T[A-Z0-9]{{6,}}){_SLASH}(?-i:B[A-Z0-9]{{6,}})
                |workflows{_SLASH}(?-i:T[A-Z0-9]{{6,}}){_SLASH}(?-i:A[A-Z0-9]{{6,}}){_SLASH}\d+
                |triggers{_SLASH}(?-i:[TE][A-Z0-9]{{6,}}){_SLASH}\d+
                |IncomingWebhook|hooks{_SLASH}catch{_SLASH}\d+|with{_SLASH}key){_SLASH})
            [^\s/\\?\#"'<>&%]+""",
            re.IGNORECASE | re.VERBOSE,
        ),
        _KEPT,
    ),
    _Shape(
        "parameter of a query, by a name that elsewhere is a word",
        "https://a.example/in?sig=SECRET",
        re.compile(
            r"(?P<kept>(?:[?&;]|\\u0026|%26|%3F)(?:auth|code|hmac|key|sig|signature)(?:=|%3D))"
            r"[^\s\"'<>&\\]+",
            re.IGNORECASE,
        ),
        _KEPT,
    ),
    _Shape(
        "bearer token",
        "sent Bearer SECRET twice",
        re.compile(r"(?P<kept>\bBearer\s+)[\w.~+/=-]+", re.IGNORECASE),
        _KEPT,
    ),
    _Shape(
        "header Authorization",
        "Authorization: Basic SECRET",
        re.compile(
            r"(?P<kept>authorization\\*[\"']?\s*[:=]\s*\\*[\"']?"
            r"(?:(?:Basic|Bearer|Bot|Digest|Negotiate|Token)\s+)?)[^\s\"',\\]+",
            re.IGNORECASE,
        ),
        _KEPT,
    ),
    _Shape(
        "cookie",
        "Set-Cookie: sid=SECRET; Path=/",
        re.compile(
            r"(?P<kept>\b(?:set-)?cookie\\*[\"']?\s*:\s*\\*[\"']?)[^\s\"'\\](?:[^\r\n\"'\\]|\\.)*",
            re.IGNORECASE,
        ),
        _KEPT,
    ),
    _Shape(
        "secret of Standard Webhooks, JSON web token: by their beginning",
        "got whsec_SECRET",
        re.compile(r"(?<![\w-])(?:whsec_[\w+/=-]{8,}|eyJ[\w-]{6,}\.eyJ[\w-]*(?:\.[\w-]*)?)"),
        MASK,
    ),
    _Shape(
        "value of a name such as password, in a form, JSON, Python or a connection string",
        "host=db password=SECRET",
        re.compile(
            rf"(?P<kept>{_KEY}\\*[\"']?\s*[:=]\s*)"
            r"(?:(?P<quote>[\"'])(?:(?!(?P=quote))[^\\]|\\.)*(?P=quote)?"
            r"|(?P<escaped>\\+[\"'])[^\"'\\]*"
            r"|(?(password)(?:[^\s\\]|\\.)+|[^\s&\"']+))",
            re.IGNORECASE | re.DOTALL,
        ),
        _pair_without_value,
    ),
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


def redact_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without secrets, which errors stored by the live services may hold."""
    return {name: redact(value) if isinstance(value, str) else value for name, value in row.items()}


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
    for shape in _SHAPES:
        text = shape.pattern.sub(shape.replacement, text)
    return text


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
