"""SIGHUP: with good settings the worker starts anew in place, with bad ones it goes on."""

import logging
import os
import sys
from typing import NoReturn

from common import config
from common.config import SettingsError
from common.logging import logs
from common.scheduling import service_settings
from common.scheduling.service import Service

_STANDARD_ERROR = 2

_log = logs.logger(__name__)


def is_meant() -> bool:
    """False at a terminal, whose end is what SIGHUP means there."""
    return not os.isatty(_STANDARD_ERROR)


def is_possible(service: Service) -> bool:
    """Read and check the settings; logs every fault."""
    try:
        service_settings.load(service)
    except SettingsError as error:
        for fault in error.faults:
            _log.error("reload_refused", reason=fault)
        return False
    return True


def start_anew(notify_socket: str) -> NoReturn:
    """Replace the program of this process, by the same command, release and environment.

    Signals that come from now on stay blocked, and are served by the new one.
    """
    logging.shutdown()
    config.hand_on_notify_socket(notify_socket)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
