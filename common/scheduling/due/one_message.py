"""A query with settings of the server for it only, in one message to the server."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import DictRow

from common.database import session_settings
from common.database.session import Session


def ask(
    connection: Session, query: str, parameters: Mapping[str, Any], settings: Mapping[str, str]
) -> list[DictRow]:
    """The rows of a query that changes nothing; a transaction of its own would need three messages.

    Raises psycopg.Error.
    """
    if connection.is_pooled:
        with connection.begin(settings, read_only=True):
            return connection.execute(query, parameters).fetchall()
    cursor = psycopg.ClientCursor(connection)
    # Statements of one message are one transaction.
    cursor.execute(f"{session_settings.for_transaction(settings)}; {query}", parameters)
    while cursor.nextset():
        pass
    return cursor.fetchall()
