"""What the log says of failed passes, and whether a failure lasts."""

from common.database.error_classification import connection_lost, contended
from common.database.migrations import MigrationsPending
from common.database.run_history import Run
from common.errors import PassError, RemoteAway
from common.logging import logs
from common.logging.throttle import LogThrottle

_log = logs.logger(__name__)


class FailureLog:
    """Logs the failures of one scheduler; a lost connection, which is retried every few seconds
    with the same error each time, once a minute."""

    def __init__(self) -> None:
        self._outages = LogThrottle(_log.error, _log.debug)

    def succeeded(self) -> None:
        """Note a pass that did not fail: the next outage is another one."""
        self._outages.reset()

    def failed(self, run: Run, error: Exception) -> None:
        """Log this failure."""
        fields = {"seconds": round(run.seconds, 3), "error": run.error, **run.counts}
        if connection_lost(error):
            self._outages.write("pass_failed", **fields)
            return
        self._outages.reset()
        # A traceback helps with a bug, not with a setting.
        write = _log.error if isinstance(error, PassError) else _log.exception
        write("pass_failed", **fields)


def is_transient(error: Exception) -> bool:
    """True if a later pass may succeed without an operator."""
    # /readyz checks for pending migrations itself.
    passing = isinstance(error, RemoteAway | MigrationsPending)
    return passing or connection_lost(error) or contended(error)
