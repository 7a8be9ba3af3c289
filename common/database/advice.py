"""Advice: what to change after an error of PostgreSQL, a pooler or the network.

It is found by SQLSTATE and by names in the message. A refused connection has no SQLSTATE: its
English text decides, and a message in another language gets no advice.
"""

import re
from collections.abc import Callable

import psycopg

from common.logging.redaction import redact

_ARROW = " => "

# The function of a trigger or a policy that raised the error.
_FUNCTION = re.compile(r"^(?:PL/\w+|SQL) function \"?([^\s\"(]+)", re.MULTILINE)

_CHECK = "`toast check` names it"
_ROLES = "run db/roles.sql again; `toast check` shows the GRANT"

# Text of a refused connection, and what to change; the first match counts.
_REFUSALS = (
    # From PgBouncer.
    ("no such database", "set DB_NAME to a database in the pooler's list of databases"),
    ("no such user", "add the role DB_USER to the pooler's auth_file, or set its auth_query"),
    ("query_wait_timeout", "raise the pooler's default_pool_size: no server session came free"),
    ("max_client_conn", "raise the pooler's max_client_conn"),
    ("no more connections allowed", "raise the pooler's max_client_conn"),
    ("unsupported startup parameter", "add it to the pooler's ignore_startup_parameters"),
    (
        "server login has been failing|pgbouncer cannot connect to server|server_login_retry",
        "start PostgreSQL behind the pooler, or correct the pooler's list of databases",
    ),
    # From TLS.
    (
        "certificate authentication failed",
        "set DB_USER to the name in the certificate of DB_SSL_CERT, or map it in pg_ident.conf",
    ),
    (
        "requires a valid client certificate|alert (?:unknown ca|bad certificate|certificate)",
        "set DB_SSL_CERT and DB_SSL_KEY to a certificate that the server accepts",
    ),
    ("does not match host name", "set DB_HOST to the name in the server's certificate"),
    ("certificate (?:has expired|is not yet valid)", "renew the certificate of the server"),
    (
        "certificate verify failed|root certificate",
        "set DB_SSL_ROOT_CERT to the PEM file of the CA of the server",
    ),
    ("could not read certificate file", "set DB_SSL_CERT to a PEM file"),
    ("key values mismatch", "set DB_SSL_KEY to the key of the certificate in DB_SSL_CERT"),
    ("has group or world access", "chmod 600 the file of DB_SSL_KEY"),
    ("private key file", "correct DB_SSL_KEY_PASSWORD, or set DB_SSL_KEY to a PEM file"),
    ("channel binding", "set DB_CHANNEL_BINDING=prefer: this login cannot be bound to TLS"),
    ("server does not support SSL", "set DB_SSL_MODE=prefer, or ssl = on at the server"),
    # From PostgreSQL.
    ("no password supplied", "set DB_PASSWORD"),
    ("authentication failed", "set DB_PASSWORD to the password of the role DB_USER"),
    ('role "(.+?)" does not exist', "set DB_USER to a role that exists, or run db/roles.sql"),
    ('role "(.+?)" is not permitted to log in', 'ALTER ROLE "{0}" LOGIN;'),
    ('database "(.+?)" does not exist', "set DB_NAME to the live services' database"),
    (
        'permission denied for database "(.+?)"',
        'GRANT CONNECT ON DATABASE "{0}" to the role DB_USER, or run db/roles.sql',
    ),
    (
        'database "(.+?)" is not currently accepting connections',
        'ALTER DATABASE "{0}" ALLOW_CONNECTIONS true;',
    ),
    (
        "no pg_hba.conf entry .*(?:no encryption|SSL off)",
        "set DB_SSL_MODE=require, or let pg_hba.conf admit this host without TLS",
    ),
    (
        "pg_hba.conf (?:entry|rejects)",
        "add a line for this host, role and database to pg_hba.conf, and reload it",
    ),
    ('too many connections for role "(.+?)"', 'ALTER ROLE "{0}" CONNECTION LIMIT -1;'),
    ('too many connections for database "(.+?)"', 'ALTER DATABASE "{0}" CONNECTION LIMIT -1;'),
    ("too many clients|connection slots are reserved", "raise max_connections of PostgreSQL"),
    (
        "hot standby mode|session is read-only",
        "set DB_HOST to the primary, or promote this one; several hosts are joined by commas",
    ),
    ("the database system is|not yet accepting connections", "wait until the server is up"),
    # From the network.
    (
        "failed to resolve host|could not translate host name",
        "set DB_HOST to a name that this machine can look up",
    ),
    ("Connection refused", "start PostgreSQL there, or correct DB_HOST and DB_PORT"),
    ("No such file or directory", "set DB_HOST to the folder of the server's socket"),
    ("timeout|timed out|unreachable|No route", "let this host reach DB_HOST and DB_PORT"),
    # From libpq, when it can make no socket.
    ("no error details available", "raise LimitNOFILE= of the unit, if it is reached"),
)

# Advice by SQLSTATE or its first two characters.
_STATES = {
    "08P01": "let the pooler hand on what libpq sends, or connect to PostgreSQL itself",
    "0A000": f"make a trigger of the rule that is in the way, and DROP RULE; {_CHECK}",
    "22021": "mend the text in the row: it is not of the database's encoding",
    "22P05": "mend the text in the row: it has no equivalent in UTF-8",
    "23502": f"give the column a default; {_CHECK}",
    "25006": "set DB_HOST to the primary, or take default_transaction_read_only off",
    "26000": "let the pooler keep prepared statements: PgBouncer's max_prepared_statements",
    "28": "correct DB_USER and DB_PASSWORD, or pg_hba.conf",
    "3D000": "set DB_NAME to the live services' database",
    "3F000": "GRANT USAGE ON SCHEMA to this role, or set its search_path to the tables' schema",
    "42501": _ROLES,
    "42703": f"adapt the scheduler to the live service's new table, or switch it off; {_CHECK}",
    "42804": f"adapt the scheduler to the live service's new types, or switch it off; {_CHECK}",
    "42883": f"adapt the scheduler to the live service's new types, or switch it off; {_CHECK}",
    "42P01": "set DB_NAME to the live services' database, or the search_path to their schema",
    "42P10": f"create the unique index that is missing; {_CHECK}",
    "42P17": "mend the policy, which refers to its own table",
    "53100": "make room on the disk of PostgreSQL",
    "53200": "give PostgreSQL more memory, or lower its work_mem",
    "53300": "raise max_connections, or the role's CONNECTION LIMIT",
    "55P03": "end the session that holds the lock; pg_locks names it",
    "57014": "see whether an index is missing (`toast check`) or a session in the way (pg_locks)",
    "57P03": "wait until the server is up",
    "58": "look at the disk of PostgreSQL and its log",
    "XX001": "look at the disk of PostgreSQL, and restore the table from a backup",
    "XX002": "REINDEX the table",
}

_OWN = re.compile(r'relation "(?:\w+\.)?(toast_\w+)" does not exist')
_DENIED = re.compile(r"permission denied for (?:(function|schema|sequence)) (\S+)")
_NO_IDENTITY = re.compile(r'table "(.+?)" because it does not have a replica identity')


def advice(error: BaseException) -> str:
    """What to change, in a few words or as SQL; "" if nothing is known.

    A PassError and an error that a trigger raises get none: their message is the advice.
    """
    if not isinstance(error, psycopg.Error) or error.diag.source_function == "exec_stmt_raise":
        return ""
    text = " ".join(str(error).split())
    if error.sqlstate is None or error.sqlstate == "08P01":
        found = _of_refusal(text)
        if found or error.sqlstate is None:
            return found
    for rule in _RULES:
        if found := rule(error, text):
            return found
    state = error.sqlstate or ""
    return next((_STATES[state[:size]] for size in (5, 2) if state[:size] in _STATES), "")


def advised(text: str, error: BaseException) -> str:
    """The text, followed by ``=>`` and the advice on the error, if there is any."""
    found = advice(error)
    return f"{text}{_ARROW}{found}" if found else text


def in_a_line(error: BaseException, about: str = "") -> str:
    """The error with its advice, behind what it is ``about``: one line without secrets."""
    text = f"{about}: {error}" if about else str(error)
    return " ".join(redact(advised(text, error)).split())


def cut(text: str, most: int) -> str:
    """The text with at most ``most`` characters; advice at its end is kept whole."""
    if len(text) <= most:
        return text
    message, arrow, found = text.rpartition(_ARROW)
    end = f"{arrow}{found}"
    return f"{message[: most - len(end)]}{end}" if arrow and len(end) < most // 2 else text[:most]


def _of_refusal(text: str) -> str:
    for pattern, found in _REFUSALS:
        if match := re.search(pattern, text):
            return found.format(*match.groups())
    return ""


def _in_a_function(error: psycopg.Error, text: str) -> str:
    """Advice on a trigger's function, which runs with our session's rights and search_path."""
    named = _FUNCTION.search(error.diag.context or "")
    if not named:
        return ""
    function = named[1]
    if error.sqlstate == "42501":
        return f"let {function} have its owner's rights: ALTER FUNCTION {function} SECURITY DEFINER"
    if error.sqlstate == "42P01":
        return f"let {function} find its tables: ALTER FUNCTION {function} SET search_path = ..."
    return ""


def _denied(error: psycopg.Error, text: str) -> str:
    if error.sqlstate != "42501":
        return ""
    if "row-level security" in text:
        return "give this role a policy whose WITH CHECK lets the changed row through"
    if "temporary tables" in text:
        return "GRANT TEMPORARY ON DATABASE to this role; db/roles.sql does"
    if not (denied := _DENIED.search(text)):
        return ""
    kind, name = denied.groups()
    right = "EXECUTE" if kind == "function" else "USAGE"
    migrating = ", and CREATE for `toast migrate`" if kind == "schema" else ""
    return f"GRANT {right} ON {kind.upper()} {name} to this role{migrating}"


def _own_is_gone(error: psycopg.Error, text: str) -> str:
    own = _OWN.search(text)
    return f"restore {own[1]} from a backup: `toast migrate` had made it" if own else ""


def _pooling(error: psycopg.Error, text: str) -> str:
    return "set the pooler's pool_mode to transaction" if "statement pooling mode" in text else ""


def _replication(error: psycopg.Error, text: str) -> str:
    table = _NO_IDENTITY.search(text)
    return f"ALTER TABLE {table[1]} REPLICA IDENTITY FULL;" if table else ""


_RULES: tuple[Callable[[psycopg.Error, str], str], ...] = (
    _in_a_function,
    _denied,
    _own_is_gone,
    _pooling,
    _replication,
)
