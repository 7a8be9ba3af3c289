"""Checks what the page, `toast web`, needs: its settings, libraries, database role and address."""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from common import config
from common.cli import loading, roles
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Found, error, ok, warning
from common.config import Listen
from common.database import own_tables
from common.database.table_access import TableAccess
from common.scheduling.grants import Right
from common.scheduling.service import Service

# What the extra `web` of setup.cfg installs.
_LIBRARIES = ("flask", "waitress")
INSTALL = "`make install` without WEB=0 does it on a VM, elsewhere pip install '.[web]'"
_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Page(Subject):
    """The page, as far as it is like a service: it has a database, and no schedulers."""

    rights: tuple[Right, ...]

    @property
    def accesses(self) -> list[TableAccess]:
        return [*own_tables.OPERATING]

    @property
    def needed(self) -> list[Right]:
        return [*self.rights]

    @property
    def allowed(self) -> set[Right]:
        return {*self.rights}

    @property
    def role(self) -> str:
        return roles.OPERATOR

    @property
    def may_migrate(self) -> bool:
        return False


def is_in_use() -> bool:
    """Whether it runs here, or has settings of its own."""
    settings = config.as_written(loading.PAGE, config.PAGE)
    has_settings = any(settings.origin(each) != "default" for each in config.PAGE)
    return has_settings or os.path.lexists(settings[config.WEB_SECRET_FILE])


def subject(services: Sequence[Service]) -> Page:
    """The page, with the rights that it needs for these services. Raises SettingsError."""
    settings = loading.settings_of_page()
    return Page(Service(loading.PAGE), settings, tuple(roles.of_operator(services)))


def missing_libraries() -> str:
    """The names of the libraries that are not installed; "" if all are."""
    return ", ".join(name for name in _LIBRARIES if find_spec(name) is None)


def check(page: Page) -> Iterator[Found]:
    """Check what is on this machine."""
    if missing := missing_libraries():
        yield page.name, error("web", f"not installed: {missing}", INSTALL)
    listen, user = page.settings[config.WEB_LISTEN], config.login()
    fault = _fault_of(listen)
    if fault is None:
        yield page.name, ok("web", f"it listens at {listen.url}")
    elif fault == errno.EACCES:
        fix = f"usermod --append --groups toast {user}"
        yield page.name, warning("web", f"{user} may not open {listen.url}", fix)
    else:
        message = f"nothing listens at {listen.url}: {os.strerror(fault)}"
        yield page.name, warning("web", message, "systemctl enable --now toast-web")


def _fault_of(listen: Listen) -> int | None:
    """Connect once; the number of the error, or None."""
    try:
        if not listen.is_socket:
            socket.create_connection(listen, _SECONDS).close()
            return None
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_SECONDS)
            client.connect(listen.address)
    except OSError as refused:
        return refused.errno or errno.ETIMEDOUT
    return None
