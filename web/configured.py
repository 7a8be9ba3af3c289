"""The services with their settings, which are read again when a settings file has changed.

To read those of all services takes about as long as to read a page from PostgreSQL.
"""

import contextlib
import threading
from dataclasses import dataclass, field

from common import config
from common.cli.services import Services
from common.cli.status.collector import Loaded
from common.config import Settings, SettingsError
from common.database.connection import Database
from common.logging import redaction
from common.scheduling import service_settings
from common.scheduling.service import Service

# What a file is known by: its path, and its time of change and size unless it is not there.
_Stamp = tuple[tuple[str, int, int], ...]


def database_of(settings: Settings) -> Database:
    """The database of these settings, in sessions of the page's name: a worker's mean that a pass
    runs."""
    return Database(settings, application_name="toast web")


@dataclass
class Configured:
    """The services as they are configured now; safe to share between threads."""

    services: Services
    _known: dict[str, tuple[_Stamp, Loaded | SettingsError]] = field(
        default_factory=dict, init=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, name: str) -> Loaded:
        """One service with its settings, of which those that only a pass needs may be missing.

        Raises UsageError and SettingsError.
        """
        service = self.services.named(name)
        with self._lock:
            stamp = _stamp(name)
            known = self._known.get(name)
            if known is None or known[0] != stamp:
                known = self._known[name] = (stamp, _load(service))
        if isinstance(known[1], SettingsError):
            # The same one each time: without this its traceback would grow.
            raise known[1].with_traceback(None)
        return known[1]

    def every(self) -> tuple[list[Loaded], list[str]]:
        """Every service whose settings are right, and the faults of the others."""
        found, faults = [], []
        for name in self.services.names:
            try:
                found.append(self.of(name))
            except SettingsError as error:
                faults += [f"toast-{name}: {fault}" for fault in error.faults]
        return found, faults


def _load(service: Service) -> Loaded | SettingsError:
    """The service with its settings, or their faults; the secrets are hidden in both cases."""
    try:
        settings = service_settings.load(service, complete=False)
    except SettingsError as error:
        written = config.as_written(service.name, (*config.COMMON, *service.variables))
        redaction.register(written.secrets)
        return error
    redaction.register(settings.secrets)
    return service, settings


def _stamp(service: str) -> _Stamp:
    stamp = []
    for path in config.files(service):
        with contextlib.suppress(OSError):
            status = path.stat()
            stamp.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(stamp)
