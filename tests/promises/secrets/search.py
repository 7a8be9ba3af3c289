"""Planted secrets, and a search for them, or for a piece of one, in all that a process left."""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, unquote_plus

from psycopg import sql

from testing.database import TestDatabase

# With the characters that the spellings of JSON, URLs, HTML and Python differ in.
DB_PASSWORD = "dbQ7-pl/Kq&x\"Zt'9vLm+Y2"
CLIENT_ID = "3bdd1d6b9ff54ee1a7c0e95f"
CLIENT_SECRET = "bLz9qXw7/sRt+Uv=Yk3-mNp5"
SENTRY_KEY = "5e7a4b3c0f0c1d2e9b8a7f6e5d4c3b2a"
DISCORD_TOKEN = "Zm9vYmFy-Xq7_tKw93bHk-c2VjcmV0Zm9vYmFyc2VjcmV0_Pd8LmQz4Vn6"
HMAC_SECRET = 'hM4c<k3y>&Kx"81Pz/Wq77uT=='
SLACK_KEY = "x9SlQkPl4nRtdKyVwZ3uT1sRq"
TEAMS_KEY = "c0ffee3d4b7a69e88196a5d4c2b2e1f7"
# With a run of letters longer than a piece: digits are what some texts are stripped of.
PROBE_SECRET = "kQwErTzUiOpLkJhGf7-Mn2"
QUERY_TOKEN = "qTk9-PlXnt7d_4rQz8sWx"
BEARER = "eyJhbGciOiJI.eyJwbGFudGVkIjoi.dBjftJeZ4CVPmB92K27u"

SECRETS = {
    name: value
    for name, value in dict(globals()).items()
    if name.isupper() and isinstance(value, str)
}

# Of what is found, a piece: texts are cut off, by PostgreSQL after 64 bytes of a value, for one.
_PIECE = 9

# Where the live schema itself keeps secrets, and what the text of a failure is not.
_KEPT = {"notification_channels": ("webhook_url",), "webhook_webhooks": ("url", "secret")}

_TABLES = """
SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'"""


def rows(database: TestDatabase) -> dict[str, str]:
    """Every table but what the live schema keeps secrets in, as text, by name."""
    found = {}
    with database.connect() as connection:
        for table in [row["name"] for row in connection.execute(_TABLES)]:
            select = sql.SQL("SELECT (to_jsonb(t) - %s::text[])::text AS row FROM {} AS t").format(
                sql.Identifier(table)
            )
            lines = connection.execute(select, [list(_KEPT.get(table, ()))])
            found[f"table {table}"] = "\n".join(row["row"] for row in lines)
    return found


def leaks(places: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Where a secret shows, whole, in part or in another spelling: one line for each."""
    return [
        f"{name} in {place}: …{text[max(0, at - 120) : at + 120]}…"
        for place, given in places.items()
        for text in _readings(given)
        for name, secret in secrets.items()
        if (at := _find(secret, text)) >= 0
    ]


def _find(secret: str, text: str) -> int:
    return next((at for piece in _pieces(secret) if (at := text.find(piece)) >= 0), -1)


def _pieces(secret: str) -> Iterator[str]:
    for start in range(len(secret) - _PIECE + 1):
        yield secret[start : start + _PIECE]
    for before in range(3):  # base64 of it, wherever it begins in what was encoded
        encoded = base64.b64encode(b"-" * before + secret.encode()).decode()
        yield encoded[(before * 8 + 5) // 6 + 1 :].rstrip("=")[:-2]


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and as JSON, URLs, HTML and logs of them mean it, layer by layer."""
    yield text
    for read in (unquote, unquote_plus, html.unescape, _unescaped):
        once = read(text)
        for again in (once, read(once), html.unescape(unquote(_unescaped(once)))):
            if again != text:
                yield again


def _unescaped(text: str) -> str:
    r"""Without the backslashes of JSON: \" \/ \\ \u0026."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    return re.sub(r"\\(.)", r"\1", text)


def spelled(secret: str) -> dict[str, str]:
    """The secret as it stands in texts of several kinds."""
    return {
        "plain": secret,
        "json": json.dumps(secret),
        "go json": json.dumps(secret).replace("&", r"\u0026").replace("<", r"\u003c"),
        "php json": json.dumps(secret).replace("/", r"\/"),
        "html": html.escape(secret),
        "python": repr(secret),
    }
