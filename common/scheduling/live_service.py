"""How a live service reads the settings that it shares with its worker."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from common.config import Variable, go_syntax
from common.config.kinds import names

# The defaults of all live services that are not ours.
_DEFAULTS = MappingProxyType(
    {
        "DB_HOST": "localhost",
        "DB_USER": "postgres",
        "DB_SSL_MODE": "disable",
        "ENVIRONMENT": "development",
    }
)


# What live services read and no worker does: for their servers, for the pool of connections to
# PostgreSQL, and for logins.
SERVER = (
    *("PORT", "GRPC_PORT"),
    *("SERVER_READ_TIMEOUT", "SERVER_WRITE_TIMEOUT", "SERVER_IDLE_TIMEOUT"),
)
POOL = ("DB_MAX_OPEN_CONNS", "DB_MAX_IDLE_CONNS", "DB_MAX_LIFETIME")
LOGIN = ("KEYCLOAK_URL", "KEYCLOAK_REALM", "KEYCLOAK_CLIENT_ID")
LOGIN_WITH_KEYS = (*LOGIN, "KEYCLOAK_CLIENT_SECRET", "KEYCLOAK_PUBLIC_KEY")


@dataclass(frozen=True, slots=True)
class LiveService:
    """What a live service reads otherwise than its worker; all by name of our setting.

    ``defaults`` are its own. ``only_names`` has the only one of our names by which it reads a
    setting. ``whole_numbers`` it reads as digits without a unit; ``positive`` are those of which it
    takes 0 for not set. ``reads`` are the variables that it reads and its worker does not.
    ``stays_on`` is a sentence about what cannot be switched off in it.
    """

    reads: tuple[str, ...] = SERVER
    defaults: Mapping[str, str] = field(default_factory=dict)
    only_names: Mapping[str, str] = field(default_factory=dict)
    whole_numbers: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    stays_on: str = ""

    def names_of(self, variable: Variable[Any]) -> tuple[str, ...]:
        """The names by which it reads this setting."""
        only = self.only_names.get(variable.name)
        return (only,) if only else names([variable])

    def unread(self, variables: Iterable[Variable[Any]]) -> dict[str, str]:
        """The names of ours that it does not read, each with the one that it reads."""
        return {
            name: self.names_of(variable)[0]
            for variable in variables
            for name in names([variable])
            if name not in self.names_of(variable)
        }

    def default(self, variable: Variable[Any]) -> str | None:
        """Its default, or ours if it has no other; None if there is none."""
        return self.defaults.get(variable.name, _DEFAULTS.get(variable.name, variable.default))

    def can_read(self, variable: Variable[Any], text: str) -> bool:
        """False if it takes its default instead of this text."""
        is_number = variable.name in (*self.whole_numbers, *self.positive)
        try:
            value = (go_syntax.parse_integer if is_number else variable.live_parse)(text)
        except ValueError:
            return False
        return variable.name not in self.positive or value != 0
