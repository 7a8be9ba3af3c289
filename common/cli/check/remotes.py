"""Checks the remote servers that a service needs, by a harmless request."""

from collections.abc import Iterator

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Found, error, ok
from common.errors import PassError
from common.scheduling.scheduler import Remote
from common.worker.readiness import unreachable


def check(subject: Subject, remote: Remote) -> Iterator[Found]:
    """Send the request, then connect to its work address, which may be another."""
    address = remote.address(subject.settings)
    try:
        answer = remote.check(subject.settings)
    except PassError as fault:
        yield subject.name, error(remote.name, str(fault), "start it, or correct its settings")
        return
    if unreached := unreachable(address):
        message = f"{answer}; but no connection to {unreached}"
        fix = "let this host reach it, or correct its settings"
        yield subject.name, error(remote.name, message, fix)
        return
    yield subject.name, ok(remote.name, f"{address}: {answer}")
