"""Why one character or guild could not be synced; no message holds a secret."""


class BattleNetError(Exception):
    """Battle.net gave no usable answer about this one; the others are not concerned."""


class NotFound(BattleNetError):
    """404: deleted or renamed, or alive and unknown to Battle.net for some days."""


class InvalidReply(BattleNetError):
    """The reply cannot be used; the message names the field and what is wrong with it."""


class Unaddressable(BattleNetError):
    """No address can be made from the row; the message names the column."""


class Unavailable(BattleNetError):
    """Battle.net did not answer, or refused to, though it was asked several times."""


class Refused(Unavailable):
    """Battle.net does not take our credentials; waiting does not mend that."""
