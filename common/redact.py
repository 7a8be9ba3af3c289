"""Takes secrets out of text that is about to leave the process: logs, errors, run history.

Two nets: the values registered as secret at start, wherever they appear, and the shapes
secrets have (passwords in URLs and connection strings, Discord webhook URLs, Authorization
headers, tokens in JSON and forms). Where the end of a secret is unclear, more is hidden.
"""

import json
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"

# Shorter values are part of everyday words and numbers: hiding "db" or "123" everywhere
# would spoil every line and, by its gaps, show what the secret is.
_SHORTEST = 4

_SLASH = r"(?:/|\\/|%2F)"
_KEY = (
    r"(?:(?P<password>password|passwd|passphrase|pwd)"
    r"|token|secret|api[_-]?key|private[_-]?key|signing[_-]?key)"
)

# No pattern begins with an open-ended repetition, so each stays linear on hostile text.
_URL_PASSWORD = re.compile(r'(?P<user>://[^\s/:@]*:)[^\s/"<>]*@')
_DISCORD_WEBHOOK = re.compile(
    rf"(?P<path>{_SLASH}api{_SLASH}(?:v\d+{_SLASH})?webhooks{_SLASH}[^\s/\\%]+{_SLASH})"
    r"[^\s/\\?#\"'<>&%]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<scheme>\bBearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(
    r"(?P<name>authorization\\*[\"']?\s*[:=]\s*\\*[\"']?"
    r"(?:(?:Basic|Bearer|Bot|Digest|Negotiate|Token)\s+)?)[^\s\"',\\]+",
    re.IGNORECASE,
)
_PAIR = re.compile(
    rf"(?P<key>{_KEY}\\*[\"']?\s*[:=]\s*)"
    r"(?:(?P<quote>[\"'])(?:(?!(?P=quote))[^\\]|\\.)*(?P=quote)?"
    r"|(?P<escaped>\\+[\"'])[^\"'\\]*"
    r"|(?(password)(?:[^\s\\]|\\.)+|[^\s&\"']+))",
    re.IGNORECASE | re.DOTALL,
)


class _Registry:
    """The registered secrets as one pattern; replaced whole, so readers need no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spellings: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        spellings = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
        with self._lock:
            self._spellings |= spellings
            # Longest first: a secret that contains another one is hidden whole.
            ordered = sorted(self._spellings, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def hide(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


_registry = _Registry()


def register(values: Iterable[str]) -> None:
    """Hide these values wherever `redact` meets them, for the life of the process.

    Their URL-quoted, JSON and Python spellings are hidden too. Values shorter than four
    characters are ignored: they are part of ordinary words.
    """
    _registry.add(values)


def redact(text: str) -> str:
    """Return the text with every secret replaced by `***`; a second time changes nothing."""
    # What replaces one secret can complete the shape of another, hence a second round.
    hidden = _hide(text)
    return hidden if hidden == text else _hide(hidden)


def _hide(text: str) -> str:
    text = _registry.hide(text)
    text = _URL_PASSWORD.sub(rf"\g<user>{MASK}@", text)
    text = _DISCORD_WEBHOOK.sub(rf"\g<path>{MASK}", text)
    text = _BEARER.sub(rf"\g<scheme>{MASK}", text)
    text = _AUTHORIZATION.sub(rf"\g<name>{MASK}", text)
    return _PAIR.sub(_hide_value, text)


def _hide_value(pair: re.Match[str]) -> str:
    quote = pair["quote"] or ""
    return f"{pair['key']}{pair['escaped'] or quote}{MASK}{quote}"


def _forms(value: str) -> set[str]:
    """The spellings under which a secret shows up in URLs, JSON and Python's repr."""
    return {
        value,
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }
