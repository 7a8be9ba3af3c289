"""The session of one pass of notification-retry: what all its statements and times share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import DictRow

from common.database.session import Session
from common.scheduling import Pass
from common.texts import change_texts


@dataclass(frozen=True, slots=True)
class RetrySession:
    """``parameters`` are those of the SQL in due_notifications.IS_WAITING.

    ``current`` is the pass, ``connection`` its connection.
    """

    current: Pass
    parameters: dict[str, Any]

    @property
    def connection(self) -> Session:
        return self.current.connection

    def execute(self, statement: str, **values: Any) -> psycopg.Cursor[DictRow]:
        """Execute, with texts that this database's encoding can hold."""
        storable = change_texts(values, self.connection.storable)
        return self.connection.execute(statement, {**self.parameters, **storable})

    def time(self, seconds: float) -> datetime:
        """Convert from the monotonic clock to the database's time."""
        return self.current.time_at(seconds)

    def seconds(self, time: datetime) -> float:
        """Convert from the database's time to the monotonic clock."""
        return self.current.started + (time - self.current.now).total_seconds()
