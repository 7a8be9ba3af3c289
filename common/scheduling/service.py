"""A service: the schedulers of one worker process, and what follows from them."""

from dataclasses import dataclass, field
from typing import Any

from common import config
from common.config import Variable
from common.config.kinds import Need, names
from common.scheduling.live_service import LiveService
from common.scheduling.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Service:
    """The schedulers of one worker process, and its default port for metrics and health.

    ``live`` is the live service beside it. ``adoptions`` are like schedulers, but only `toast
    takeover --adopt` runs their passes.
    """

    name: str
    schedulers: tuple[Scheduler, ...] = ()
    metrics_port: int = 0
    live: LiveService = field(default_factory=LiveService)
    adoptions: tuple[Scheduler, ...] = ()

    @property
    def metrics(self) -> Variable[int]:
        """The setting of the port."""
        return config.metrics_port(self.metrics_port)

    @property
    def variables(self) -> tuple[Variable[Any], ...]:
        """Every setting of this service, each once, in the order of its schedulers."""
        every = (variable for scheduler in self.schedulers for variable in scheduler.variables)
        return tuple({variable.name: variable for variable in (self.metrics, *every)}.values())

    @property
    def read(self) -> tuple[str, ...]:
        """The names of all variables that its worker or the live service beside it reads."""
        return (*names((*config.COMMON, *self.variables)), *self.live.reads)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The settings that must not be empty, each with its switch."""
        return tuple(
            (scheduler.enabled, needed)
            for scheduler in self.schedulers
            for needed in scheduler.needs
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that this service publishes to."""
        return tuple(topic for scheduler in self.schedulers for topic in scheduler.topics)
