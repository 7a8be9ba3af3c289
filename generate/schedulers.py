"""What follows from the schedulers: what each does, the Go schedulers' switches, the topics."""

from collections.abc import Sequence

from common.cli.takeover import switch_off
from common.scheduling import grants
from common.scheduling.scheduler import Scheduler
from generate import markdown
from generate.services import SERVICES


def table() -> str:
    """A row per scheduler: service, name, interval, summary and topics."""
    rows = [
        (
            service.name,
            scheduler.name,
            scheduler.interval.default or "",
            _summary(scheduler),
            _topics(scheduler.topics),
        )
        for service in SERVICES
        for scheduler in service.schedulers
    ]
    return markdown.table(("service", "scheduler", "every", "what it does", "publishes"), rows)


def switches() -> str:
    """A row per service: the variables that switch off its schedulers in the Go service."""
    rows = [
        (
            service.name,
            ", ".join(f"`{name}`" for name in switch_off.switches(service)),
        )
        for service in SERVICES
    ]
    return markdown.table(("service", "set to `false` for the Go service"), rows)


def topics() -> str:
    """The setting of a live consumer that takes every topic."""
    every = (topic for service in SERVICES for topic in service.topics)
    return f"```\nKAFKA_TOPICS=<its other topics>,{','.join(dict.fromkeys(every))}\n```"


def _summary(scheduler: Scheduler) -> str:
    is_on = grants.is_expected(scheduler)
    return scheduler.summary if is_on else f"{scheduler.summary} (off by default)"


def _topics(topics: Sequence[str]) -> str:
    """The first in full; of the others only what follows the same service and domain."""
    if not topics:
        return ""
    shared = ".".join(topics[0].split(".")[:2])
    others = [topic.replace(shared, "…", 1) for topic in topics[1:]]
    return ", ".join(f"`{topic}`" for topic in (topics[0], *others))
