"""The live tables of the tests and of `make run` are those that the live Go services make."""

import pytest

from devservers import live_tables
from testing.database import TestDatabase

# Lines as in the file, of every table that is not ours. What the file has no word for, such as
# an index with a condition or a check of a table, makes a line that the file cannot have.
COLUMNS = """
SELECT concat_ws(E'\\t', class.relname, attribute.attname,
                 replace(replace(format_type(attribute.atttypid, attribute.atttypmod),
                                 'character varying', 'varchar'),
                         'timestamp with time zone', 'timestamptz'),
                 CASE WHEN attribute.attnotnull THEN 'not null' ELSE 'null' END,
                 replace(pg_get_expr(written.adbin, written.adrelid), '::character varying', ''))
       AS line
FROM live_tables AS class
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
LEFT JOIN pg_attrdef AS written
    ON written.adrelid = class.oid AND written.adnum = attribute.attnum
WHERE attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY class.relname, attribute.attnum"""
INDEXES = """
SELECT concat(class.relname, E'\\t', CASE WHEN index.indisunique THEN 'UNIQUE ' END,
              index.indexrelid::regclass, ' ',
              split_part(pg_get_indexdef(index.indexrelid), ' USING btree ', 2)) COLLATE "C" AS line
FROM live_tables AS class JOIN pg_index AS index ON index.indrelid = class.oid
ORDER BY line"""
# The others are covered by the columns (not null) and by the indexes (keys).
KEYS = """
SELECT concat(class.relname, E'\\t', pg_get_constraintdef(key.oid)) COLLATE "C" AS line
FROM live_tables AS class JOIN pg_constraint AS key ON key.conrelid = class.oid
WHERE key.contype NOT IN ('p', 'u', 'n')
ORDER BY line"""

LIVE_TABLES = """
WITH live_tables AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
      AND relname NOT LIKE 'toast\\_%' AND relname <> 'guild_members'
)"""


@pytest.mark.parametrize(
    ("query", "facts"),
    list(zip((COLUMNS, INDEXES, KEYS), live_tables.facts(), strict=True)),
    ids=["columns", "indexes", "foreign keys"],
)
def test_the_tables_are_exactly_those_of_the_live_services(
    query: str, facts: list[str], module_database: TestDatabase
) -> None:
    assert [row["line"] for row in module_database.query(LIVE_TABLES + query)] == facts
