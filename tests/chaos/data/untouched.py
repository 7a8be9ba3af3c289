"""Rows that must not change: each as it is, with how many children it has."""

from collections.abc import Iterable, Mapping

from testing.database import TestDatabase
from testing.scheduler_rows import Case

_ROWS = (
    "SELECT id::text AS id, to_jsonb(row)::text AS whole FROM {table} AS row WHERE id = ANY (%s)"
)
_CHILDREN = """
SELECT {reference}::text AS id, count(*) AS children FROM {table}
WHERE {reference} = ANY (%s) GROUP BY 1"""


def as_they_are(
    database: TestDatabase, case: Case, rows: Iterable[str]
) -> Mapping[str, tuple[str, ...]]:
    """These rows of the case's table, by their ids."""
    ids = list(rows)
    known = {
        row["id"]: (row["whole"],) for row in database.query(_ROWS.format(table=case.table), ids)
    }
    [first, *_] = case.due.values()
    for reference, children in first.children.items():
        for child in children[:1]:
            query = _CHILDREN.format(table=child.table, reference=reference)
            for row in database.query(query, ids):
                known[row["id"]] = (*known.get(row["id"], ()), str(row["children"]))
    return known


def touched(before: Mapping[str, object], after: Mapping[str, object]) -> int:
    """How many of these rows are not as they were."""
    return sum(before.get(row) != after.get(row) for row in {*before, *after})
