"""What goes wrong with one row, kept from the others."""

from types import TracebackType
from typing import Self

from common.database.error_classification import server_fault


class RowGuard:
    """Ends a block at any error that one row may be to blame for; it is in ``error`` afterwards.

    That is every error, be it a trigger's or a bug that only this row has come upon, unless it is
    the fault of the connection or the server: that one is raised.
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
        if not isinstance(error, Exception) or server_fault(error):
            return False
        self.error = error
        return True
