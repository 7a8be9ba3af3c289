"""A service to check, with its settings and its needs."""

from dataclasses import dataclass

from common import config
from common.cli import roles
from common.config import Settings
from common.database import migrations
from common.database.migrations import Migration
from common.database.table_access import TableAccess
from common.scheduling import grants
from common.scheduling.grants import Right
from common.scheduling.scheduler import Remote, Scheduler
from common.scheduling.service import Service


@dataclass(frozen=True, slots=True)
class Subject:
    """A service whose settings are valid."""

    service: Service
    settings: Settings

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def role(self) -> str:
        """The role of db/roles.sql that is for it."""
        return roles.role_of(self.service)

    @property
    def may_migrate(self) -> bool:
        """Whether it creates our own tables, if its role may."""
        return self.settings[config.TOAST_MIGRATE]

    @property
    def schedulers(self) -> list[Scheduler]:
        """The schedulers that are switched on."""
        return [each for each in self.service.schedulers if self.settings[each.enabled]]

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(topic for scheduler in self.schedulers for topic in scheduler.topics)

    @property
    def remotes(self) -> list[Remote]:
        """The remote servers that they need, each once."""
        every = (remote for scheduler in self.schedulers for remote in scheduler.remotes)
        return list({remote.name: remote for remote in every}.values())

    @property
    def accesses(self) -> list[TableAccess]:
        """The tables that they use."""
        return grants.accesses(self.schedulers)

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """The migrations that create our own tables among them."""
        return migrations.needed(self.accesses)

    @property
    def live(self) -> list[TableAccess]:
        """The live tables that they use."""
        return [access for access in self.accesses if access.table.is_live]

    @property
    def needed(self) -> list[Right]:
        """The rights that they need."""
        return grants.needed(self.accesses)

    @property
    def allowed(self) -> set[Right]:
        """The rights that are not too many; includes schedulers that are on by default."""
        return {*self.needed, *grants.needed(grants.expected(self.service))}
