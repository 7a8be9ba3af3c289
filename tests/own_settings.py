"""Settings of the tests alone: none of the developer's reach the processes that they start."""

import os
import re
from pathlib import Path

import pytest

# What a developer's shell may hold that would change how a worker behaves.
_SETTINGS = re.compile(
    r"(DB|KAFKA|LOG|TOAST|SENTRY|BLIZZARD|WEBHOOK|WEB|NOTIFICATION|SSE|METRICS)_\w+"
    r"|\w+_(ENABLED|INTERVAL|TIMEOUT|DAYS)|ENVIRONMENT|PG[A-Z]+|COLUMNS|LINES"
)


def use_only(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave no setting in the environment, and work in a new folder below this one."""
    for name in filter(_SETTINGS.fullmatch, list(os.environ)):
        patch.delenv(name)
    # Files count as settings too: .env of this checkout unless there is a toast.env, the machine's
    # below /etc/toast.
    working_directory = folder / "cwd"
    working_directory.mkdir()
    patch.chdir(working_directory)
    config_directory = folder / "etc-toast"
    config_directory.mkdir()
    (config_directory / "toast.env").touch()
    patch.setenv("TOAST_CONFIG_DIR", str(config_directory))
