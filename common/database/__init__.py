"""PostgreSQL: connections and sessions, the classes of errors, and our own tables.

A scheduler declares what it does with a table by ``Table``, ``TableAccess`` and ``Index``; ``ctid``
has SQL for batches, ``failed_rows`` sets rows aside that cannot be changed.
``connection.Database`` opens a ``session.Session`` with a deadline on every wait; ``migrations``
creates the ``toast_`` tables.
"""

from common.database.table_access import (
    BIGINT,
    BOOLEAN,
    JSON,
    TEXT,
    TIME,
    UUID,
    Index,
    Table,
    TableAccess,
)
