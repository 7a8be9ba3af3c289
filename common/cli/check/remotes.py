"""The other servers that a service cannot work without: asked something harmless."""

from collections.abc import Iterator

from common.check.findings import Found, error, ok
from common.check.subject import Subject
from common.errors import PassError
from common.readiness import unreachable
from common.scheduler import Remote


def check(subject: Subject, remote: Remote) -> Iterator[Found]:
    """Ask it, and then connect to where its work is done, which may be elsewhere."""
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
