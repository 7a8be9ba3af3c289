"""Keeps the error of one row from the others."""

from types import TracebackType
from typing import Self

from common.database.error_classification import server_fault
from common.errors import LimitReached


class RowGuard:
    """Context manager that catches an error which one row may have caused, in ``error``.

    That is any exception, also of a trigger or a bug, except a server_fault and LimitReached, which
    are raised.
    """

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, LimitReached):
            return False
        if server_fault(error):
            return False
        self.error = error
        return True
