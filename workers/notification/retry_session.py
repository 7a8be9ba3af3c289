"""The session of one pass of notification-retry: what all its statements and times share."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import psycopg
from psycopg.rows import DictRow

from common.database.session import Session


@dataclass(frozen=True, slots=True)
class RetrySession:
    """``parameters`` are those of the SQL in due_notifications.IS_WAITING.

    ``now`` is the database's time at the start of the pass; it goes on as the monotonic clock does.
    """

    connection: Session
    parameters: dict[str, Any]
    now: datetime
    _started: float = field(default_factory=monotonic)

    def execute(self, statement: str, **values: Any) -> psycopg.Cursor[DictRow]:
        """Execute, with texts that this database's encoding can hold."""
        storable = {
            name: self.connection.storable(value) if isinstance(value, str) else value
            for name, value in values.items()
        }
        return self.connection.execute(statement, {**self.parameters, **storable})

    def time(self, seconds: float) -> datetime:
        """Convert from the monotonic clock to the database's time."""
        return self.now + timedelta(seconds=seconds - self._started)

    def seconds(self, time: datetime) -> float:
        """Convert from the database's time to the monotonic clock."""
        return self._started + (time - self.now).total_seconds()
