"""Why one character or guild could not be synced; no message contains a secret."""


class BattleNetError(Exception):
    """No usable reply about this subject; other subjects are not affected."""


class NotFound(BattleNetError):
    """404: deleted or renamed, or existing but missing at Battle.net for some days."""


class InvalidReply(BattleNetError):
    """The reply cannot be used; the message names the field and the problem."""


class Unaddressable(BattleNetError):
    """The row does not give a valid URL; the message names the column."""


class Refused(BattleNetError):
    """Battle.net rejects our credentials; a retry does not help."""


class Unavailable(BattleNetError):
    """Battle.net did not reply; a later attempt may succeed.

    ``retry_after`` is Battle.net's wait in seconds, None without one; ``throttled`` is true for
    a 429.
    """

    def __init__(
        self, reason: str, retry_after: float | None = None, *, throttled: bool = False
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.throttled = throttled


class StopRequested(BattleNetError):
    """The worker must stop: the request is not sent."""
