"""The process of the page: it listens, serves until a signal ends it, and notifies systemd.

Every signal that would end a process stops it within STOP_SECONDS, apart from crashes: requests
under way are answered first. There is no reload: a new start takes no second.
"""

import contextlib
import ctypes
import errno
import os
import select
import signal
import socket
import threading
from pathlib import Path

from common import config, exit_codes, signals
from common.config import Settings, SettingsError
from common.errors import PassError
from common.logging import logs
from common.worker.endpoint.endpoint import listener
from common.worker.systemd import SystemdNotifier
from web import app
from web.access import secret_file
from web.server import REQUEST_SECONDS, PageServer
from web.site import Site

STOP_SECONDS = 5.0
SUPERVISE_SECONDS = 5.0
# For its user and its group: who may open it may use the page.
SOCKET_MODE = 0o660

# M_ARENA_MAX of glibc's malloc.h.
_MOST_ARENAS = -8

_log = logs.logger(__name__)


def run(site: Site) -> int:
    """Serve until a signal; returns the exit code. Raises SettingsError and PassError."""
    _use_one_arena()
    systemd = SystemdNotifier(config.notify_socket())
    received = _signals()
    listening, secret = _open(site.settings)
    server = PageServer(app.create(site, secret), listening)
    loop = threading.Thread(target=server.run, name="page", daemon=True)
    loop.start()
    _log.info("page_opened", address=site.settings[config.WEB_LISTEN].url)
    systemd.ready()
    code = _supervise(server, loop, systemd, received)
    systemd.stopping()
    server.stop(STOP_SECONDS)
    _close(site.settings)
    _log.info("page_closed", exit_code=code)
    return code


def _use_one_arena() -> None:
    """Let all threads allocate from one arena: with one each, the process keeps 3 MB more."""
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_MOST_ARENAS, 1)


def _open(settings: Settings) -> tuple[socket.socket, bytes]:
    """Listen, and make the secret; in this order, so that the secret of another is left alone."""
    address, port = listen = settings[config.WEB_LISTEN]
    paths = {config.WEB_SECRET_FILE.name: settings[config.WEB_SECRET_FILE]}
    if listen.is_socket:
        paths[config.WEB_LISTEN.name] = address
    faults = [
        f"{name} is {path}, but there is no folder {Path(path).parent}; expected"
        " a path in one where this user may write"
        for name, path in paths.items()
        if not Path(path).parent.is_dir()
    ]
    if faults:
        raise SettingsError(faults)
    try:
        opened = listener(address, port)
        if listen.is_socket:
            os.chmod(address, SOCKET_MODE)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = "it is in use by another process" if in_use else os.strerror(error.errno or 0)
        raise PassError(f"WEB_LISTEN {listen.url} cannot be opened: {reason}") from None
    path = settings[config.WEB_SECRET_FILE]
    try:
        return opened, secret_file.make(path)
    except OSError as error:
        raise PassError(f"WEB_SECRET_FILE {path} cannot be written: {error.strerror}") from None


def _close(settings: Settings) -> None:
    secret_file.remove(settings[config.WEB_SECRET_FILE])
    if settings[config.WEB_LISTEN].is_socket:
        Path(settings[config.WEB_LISTEN].address).unlink(missing_ok=True)


def _signals() -> socket.socket:
    """A socket that gets the number of each signal that asks this process to end.

    None is blocked: a child process would inherit that, and could not be ended.
    """
    received, write = socket.socketpair()
    write.setblocking(False)
    for number in signals.ending():
        signal.signal(number, lambda number, frame: None)
    signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
    return received


def _supervise(
    server: PageServer,
    loop: threading.Thread,
    systemd: SystemdNotifier,
    received: socket.socket,
) -> int:
    """Wait for a signal; feed the watchdog while the loop of the server turns."""
    while True:
        if not loop.is_alive():
            _log.error("page_lost", reason="the thread of the server has died")
            return exit_codes.BUG
        if server.turned_within(REQUEST_SECONDS):
            systemd.feed_watchdog()
        if select.select([received], [], [], SUPERVISE_SECONDS)[0]:
            _log.info("stop_requested", signal=signals.name(received.recv(1)[0]))
            return exit_codes.FINE
