"""What a pass of one scheduler would do now, as the last dry run has found."""

from dataclasses import dataclass

from web.dry_runs import DryRun
from web.pages import scheduler as one_scheduler
from web.site import Asked


@dataclass(frozen=True, slots=True)
class Tried:
    """The last dry run of a scheduler; None if there was none since the page was started."""

    service: str
    scheduler: str
    run: DryRun | None


def load(asked: Asked, service: str, scheduler: str) -> Tried:
    """Look it up. Raises LookupError if there is no such scheduler."""
    one_scheduler.named(asked, service, scheduler)
    return Tried(service, scheduler, asked.site.dry_runs.of((service, scheduler)))
