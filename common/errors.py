"""Errors that every part of a worker knows: why a pass cannot do its work."""


class PassError(Exception):
    """Why a pass cannot do its work, in words for the operator."""


class RemoteAway(PassError):
    """A server other than PostgreSQL does not answer: the next pass may find it again."""
