"""docs/settings.md: the reference of all settings."""

from common.cli import settings_reference
from generate.services import SERVICES

_HEAD = """\
# Settings

Written by `make generate`. [install.md](install.md#settings) describes where settings are read
from."""


def document() -> str:
    """The whole file."""
    return f"{_HEAD}\n\n{settings_reference.markdown(SERVICES)}\n"
