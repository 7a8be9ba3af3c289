"""The live tables as the live Go services create them, from what live_schema.tsv says of them."""

from pathlib import Path

FACTS = Path(__file__).with_name("live_schema.tsv")


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
