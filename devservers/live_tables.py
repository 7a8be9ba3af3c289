"""The live tables: how the live Go services create them, by what live_schema.tsv says of them, and
what a service writes into a column where nothing is given."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

FACTS = Path(__file__).with_name("live_schema.tsv")
GO_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)

_ZERO_VALUES: dict[str, object] = {
    "text": "",
    "character varying": "",
    "bigint": 0,
    "integer": 0,
    "numeric": 0,
    "boolean": False,
    "jsonb": "{}",
}

# The times that a Go service always sets; others, and references, are NULL where that is allowed.
_GIVEN_TIMES = {"created_at", "updated_at"}
# Times of events that never happened, in the only model that has no NULL for them.
_NEVER = {f"webhook_webhooks.last_{what}_at" for what in ("delivery", "success", "failure")}
# The texts that are NULL; others are ''.
_NULL_TEXTS = {
    *("link_links.custom_alias", "link_links.title", "link_links.description"),
    *("foodfolio_item_variants.barcode", "foodfolio_item_details.article_number"),
    "character_details.thumbnail_url",
}

# A column without a default: whether it is required, the table it references, and whether it must
# be unique. In our own tables, columns that may be NULL are left out.
_COLUMNS = """
SELECT c.relname || '.' || a.attname AS path, a.attname AS name,
       format_type(a.atttypid, NULL) AS type, a.attnotnull AS is_required,
       f.confrelid::regclass::text AS parent, fa.attname AS parent_column,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique
               AND a.attnum = ANY (i.indkey)) AS is_unique
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_constraint f ON f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey[1] = a.attnum
LEFT JOIN pg_attribute fa ON fa.attrelid = f.confrelid AND fa.attnum = f.confkey[1]
WHERE c.oid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.atthasdef
  AND a.attidentity = '' AND (a.attnotnull OR c.relname NOT LIKE 'toast\\_%%')"""


def facts() -> tuple[list[str], list[str], list[str]]:
    """The lines of the file: the columns, the indexes and the foreign keys."""
    parts = FACTS.read_text("utf-8").split("\n\n")
    lines = ([one for one in part.splitlines() if not one.startswith("#")] for part in parts)
    columns, indexes, keys = filter(None, lines)
    return columns, indexes, keys


def sql() -> str:
    """The statements that create all of them in an empty database."""
    columns, indexes, keys = facts()
    tables: dict[str, list[str]] = {}
    for line in columns:
        table, column = line.split("\t", 1)
        tables.setdefault(table, []).append(_column(*column.split("\t")))
    return ";\n".join(
        [
            *(f"CREATE TABLE {name} ({', '.join(tables[name])})" for name in tables),
            *map(_index, indexes),
            *("ALTER TABLE {} ADD {}".format(*line.split("\t")) for line in keys),
        ]
    )


def _column(name: str, kind: str, null: str, *default: str) -> str:
    return " ".join((name, kind, null, *(f"DEFAULT {value}" for value in default)))


def _index(line: str) -> str:
    """The services' library names its indexes idx_; all others are those of constraints."""
    table, index = line.split("\t")
    is_unique, name = index.startswith("UNIQUE "), index.removeprefix("UNIQUE ")
    name, columns = name.split(" ", 1)
    if name.startswith("idx_"):
        return f"CREATE {'UNIQUE ' * is_unique}INDEX {name} ON {table} {columns}"
    kind = "PRIMARY KEY" if name.endswith("_pkey") else "UNIQUE"
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} {kind} {columns}"


def without_default(connection: psycopg.Connection[Any], table: str) -> list[DictRow]:
    """The columns of a table that have no default, as rows of _COLUMNS."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_COLUMNS, (table,)).fetchall()


def zero_value(column: DictRow) -> object:
    """What a Go service writes: NULL, '', 0, false or now; for a required id a new one."""
    if column["path"] in _NEVER:
        return GO_ZERO_TIME
    if not column["is_required"] and _may_be_null_in_go(column):
        return None
    if column["type"] == "uuid":
        return uuid.uuid4()
    if column["type"] == "timestamp with time zone":
        return datetime.now(UTC)
    return _ZERO_VALUES[column["type"]]


def _may_be_null_in_go(column: DictRow) -> bool:
    if column["type"] == "timestamp with time zone":
        return column["name"] not in _GIVEN_TIMES
    return column["type"] == "uuid" or column["path"] in _NULL_TEXTS
