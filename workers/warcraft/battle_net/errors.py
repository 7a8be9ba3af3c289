"""Why one character or guild could not be synced; no message contains a secret."""


class BattleNetError(Exception):
    """No usable reply about this subject; other subjects are not affected."""


class NotFound(BattleNetError):
    """404: deleted or renamed, or existing but missing at Battle.net for some days."""


class InvalidReply(BattleNetError):
    """The reply cannot be used; the message names the field and the problem."""


class Unaddressable(BattleNetError):
    """The row does not give a valid URL; the message names the column."""


class Unavailable(BattleNetError):
    """Battle.net did not reply, or refused to, in several tries."""


class Refused(Unavailable):
    """Battle.net rejects our credentials; a retry does not help."""
