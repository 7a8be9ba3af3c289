"""Checks what may refuse a statement or change its effect: policies, rules, triggers,
publications, and tables of the same name in another schema."""

from collections.abc import Iterator

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, error, warning
from common.database.session import Connection
from common.database.usable_tables import commands_by_table

_WANTED = """
WITH wanted AS (
    SELECT name, to_regclass(name)::oid AS oid, string_to_array(commands, ',') AS commands
    FROM unnest(%(names)s::text[], %(commands)s::text[]) AS wanted (name, commands)
)"""

# Tables whose policies limit what this role sees, unless one of them allows all rows.
_POLICIES = f"""{_WANTED}, policy AS (
    SELECT polrelid, polname, polpermissive, polcmd,
           coalesce(pg_get_expr(polqual, polrelid), 'true') = 'true' AND polcmd = '*'
               AND coalesce(pg_get_expr(polwithcheck, polrelid), 'true') = 'true' AS is_open
    FROM pg_policy
    WHERE 0 = ANY (polroles) OR EXISTS (
        SELECT FROM unnest(polroles) AS role WHERE role <> 0 AND pg_has_role(role, 'USAGE'))
)
SELECT wanted.oid::regclass::text AS table, quote_ident(current_user) AS role,
       string_agg(quote_ident(polname), ', ' ORDER BY polname) AS policies
FROM wanted JOIN policy ON polrelid = wanted.oid
WHERE row_security_active(wanted.oid)
GROUP BY 1, 2 HAVING NOT (bool_or(is_open AND polpermissive) AND bool_and(polpermissive))
ORDER BY 1"""

# An INSTEAD rule is an obstacle (common/database/usable_tables.py).
_RULES = f"""{_WANTED}
SELECT wanted.oid::regclass::text AS table, wanted.name, quote_ident(rulename) AS rule
FROM wanted JOIN pg_rewrite AS rule ON rule.ev_class = wanted.oid
WHERE NOT is_instead AND ev_enabled <> 'D' AND ev_type IN ('2', '3', '4')
  AND (ARRAY['', 'w', 'a', 'd'])[ev_type::text::int] = ANY (wanted.commands)
ORDER BY 1, 3"""

# Trigger functions that run with our rights, and name a table on which we have none.
_TRIGGERS = f"""{_WANTED}
SELECT DISTINCT wanted.oid::regclass::text AS table, quote_ident(tgname) AS trigger,
       proc.oid::regprocedure::text AS function, other.oid::regclass::text AS other
FROM wanted
JOIN pg_trigger ON tgrelid = wanted.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A')
JOIN pg_proc AS proc ON proc.oid = tgfoid AND NOT prosecdef
JOIN pg_class AS other ON other.relkind IN ('r', 'p', 'v', 'm', 'f') AND other.oid <> wanted.oid
    AND proc.prosrc ~ ('\\m' || regexp_replace(other.relname, '(\\W)', '\\\\\\1', 'g') || '\\M')
JOIN pg_namespace AS namespace ON namespace.oid = other.relnamespace
WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%%'
  AND EXISTS (
      SELECT FROM unnest(wanted.commands) AS command
      WHERE tgtype & CASE command WHEN 'a' THEN 4 WHEN 'd' THEN 8 WHEN 'w' THEN 16 ELSE 0 END > 0)
  AND NOT has_any_column_privilege(other.oid, 'SELECT, INSERT, UPDATE')
  AND NOT has_table_privilege(other.oid, 'DELETE')
ORDER BY 1, 2, 4"""

# In a published table, every changed row must have a replica identity.
_PUBLISHED = f"""{_WANTED}
SELECT DISTINCT wanted.oid::regclass::text AS table, published.pubname AS publication
FROM wanted JOIN pg_class AS class ON class.oid = wanted.oid
JOIN pg_publication_tables AS published
    ON published.tablename = relname
    AND published.schemaname = (SELECT nspname FROM pg_namespace WHERE oid = relnamespace)
JOIN pg_publication AS publication ON publication.pubname = published.pubname
WHERE (relreplident = 'n' OR relreplident = 'd' AND NOT EXISTS (
          SELECT FROM pg_index WHERE indrelid = class.oid AND indisprimary))
  AND (pubupdate AND 'w' = ANY (wanted.commands) OR pubdelete AND 'd' = ANY (wanted.commands))
ORDER BY 1"""

_ELSEWHERE = f"""{_WANTED}
SELECT wanted.name, array_agg(quote_ident(nspname) ORDER BY nspname) AS others,
       first.relnamespace::regnamespace::text AS schema,
       bool_or(nspname = ANY (current_schemas(false))) AS in_path
FROM wanted JOIN pg_class AS first ON first.oid = wanted.oid
JOIN pg_class AS other ON other.relname = first.relname AND other.oid <> first.oid
    AND other.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace AS namespace ON namespace.oid = other.relnamespace
WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%%'
GROUP BY 1, 3 ORDER BY 1"""


def check(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Check every table that an enabled scheduler uses."""
    wanted = commands_by_table(subject.accesses)
    by_ctid = {access.table.name for access in subject.accesses if "ctid" in access.select}
    for row in connection.execute(_POLICIES, wanted):
        yield warning(
            "row security",
            f"which rows of {row['table']} {row['role']} sees is decided by {row['policies']}",
            f"CREATE POLICY {row['role']} ON {row['table']} TO {row['role']} USING (true);",
        )
    for row in connection.execute(_RULES, wanted):
        # Changes by ctid are in a WITH, which allows no rule.
        yield (error if row["name"] in by_ctid else warning)(
            "rules",
            f"the rule {row['rule']} on {row['table']} is more than the statements of a pass allow",
            f"DROP RULE {row['rule']} ON {row['table']}; a trigger can do the same",
        )
    for row in connection.execute(_TRIGGERS, wanted):
        yield warning(
            "triggers",
            f"{row['trigger']} of {row['table']} runs {row['function']} with the rights of this"
            f" role, which has none on {row['other']}",
            f"ALTER FUNCTION {row['function']} SECURITY DEFINER;",
        )
    for row in connection.execute(_PUBLISHED, wanted):
        yield error(
            "tables",
            f"{row['table']} is published by {row['publication']}, and its rows have no identity",
            f"ALTER TABLE {row['table']} REPLICA IDENTITY FULL;",
        )
    yield from _elsewhere(connection, subject, wanted)


def _elsewhere(
    connection: Connection, subject: Subject, wanted: dict[str, list[str]]
) -> Iterator[Finding]:
    """Tables that exist in two schemas, so that others may use the other one."""
    own = {access.table.name for access in subject.accesses if not access.table.is_live}
    places: dict[tuple[str, str], list[str]] = {}
    for row in connection.execute(_ELSEWHERE, wanted):
        if row["in_path"] or row["name"] in own:
            place = (row["schema"], ", ".join(row["others"]))
            places.setdefault(place, []).append(row["name"])
    for (schema, others), names in places.items():
        yield warning(
            "schemas",
            f"{', '.join(names)}: used in {schema}, and there in {others} as well",
            "drop what is not used, or let every role's search_path begin with the same schema",
        )
