"""What operators do with one scheduler: pause, resume, run now, and try what it would do."""

from flask import g

from common.cli.operate import pauses, trigger
from common.cli.services import UsageError
from common.database.audit import Operator
from common.database.controls.pauses import End
from common.scheduling.service import Service
from web.pages import scheduler as one_scheduler
from web.site import Asked


def pause(asked: Asked, service: str, scheduler: str) -> str:
    """Let no worker run it: for a time span, until a time in UTC, or until it is resumed."""
    reason, end = pauses.reason(asked.query.get("reason", "")), _end(asked)
    found = _service(asked, service, scheduler)
    with asked.connected(asked.site.service(service)[1]) as connection:
        begun = pauses.pause(connection, Operator(g.login), found, scheduler, end, reason)
    return f"{scheduler}: {begun[scheduler]}"


def _end(asked: Asked) -> End:
    kind = asked.query.get("end", "")
    if kind == "span":
        return pauses.end(span=asked.query.get("span", ""))
    if kind == "until":
        return pauses.end(until=f"{asked.query.get('until', '')}Z")
    if kind == "resumed":
        return pauses.end()
    raise UsageError("choose how long it is to be paused")


def resume(asked: Asked, service: str, scheduler: str) -> str:
    """End its pause."""
    found = _service(asked, service, scheduler)
    with asked.connected(asked.site.service(service)[1]) as connection:
        resumed = pauses.resume(connection, Operator(g.login), found, scheduler)
    return f"{scheduler} {'is resumed' if resumed else 'was not paused'}"


def run_now(asked: Asked, service: str, scheduler: str) -> str:
    """Let the worker of this machine run it; does not wait for the pass."""
    found = _service(asked, service, scheduler)
    _, settings = asked.site.service(service)
    with asked.connected(settings) as connection:
        left = trigger.request(connection, Operator(g.login), found, settings, scheduler)
    return f"process {left.process} runs {scheduler} now; its run will be the first of the list"


def dry_run(asked: Asked, service: str, scheduler: str) -> str:
    """Try what it would do; changes nothing, so it is not in the audit."""
    _service(asked, service, scheduler)
    asked.site.dry_runs.start((service, scheduler), g.login)
    return f"{scheduler} is being tried; this changes nothing"


def _service(asked: Asked, service: str, scheduler: str) -> Service:
    """The service, if it has this scheduler. Raises UsageError."""
    try:
        return one_scheduler.named(asked, service, scheduler)[0]
    except LookupError as error:
        raise UsageError(str(error)) from None
