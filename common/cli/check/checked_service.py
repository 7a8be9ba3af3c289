"""One service that is checked, with its settings, and what follows from them."""

from dataclasses import dataclass

from common.config import Settings
from common.database.table_access import TableAccess
from common.scheduling import grants
from common.scheduling.grants import Right
from common.scheduling.scheduler import Remote, Scheduler, Service


@dataclass(frozen=True, slots=True)
class Subject:
    """A service whose settings can be used."""

    service: Service
    settings: Settings

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def schedulers(self) -> list[Scheduler]:
        """Those that are switched on."""
        return [each for each in self.service.schedulers if self.settings[each.enabled]]

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(topic for scheduler in self.schedulers for topic in scheduler.topics)

    @property
    def remotes(self) -> list[Remote]:
        """Each once."""
        every = (remote for scheduler in self.schedulers for remote in scheduler.remotes)
        return list({remote.name: remote for remote in every}.values())

    @property
    def accesses(self) -> list[TableAccess]:
        """What the schedulers that are switched on do with tables."""
        return grants.accesses(self.schedulers)

    @property
    def live(self) -> list[TableAccess]:
        """Of those, what they do with live tables."""
        return [access for access in self.accesses if access.table.is_live]

    @property
    def needed(self) -> list[Right]:
        """The rights that may not be missing."""
        return grants.needed(self.accesses)

    @property
    def allowed(self) -> set[Right]:
        """The rights that are not too many: a scheduler may be switched off for a while."""
        return {*self.needed, *grants.needed(grants.expected(self.service))}
