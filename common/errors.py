"""Errors that a pass raises for the operator."""


class PassError(Exception):
    """A pass cannot do its work; the message tells the operator why."""


class RemoteAway(PassError):
    """A server other than PostgreSQL does not answer; a later pass may succeed."""
