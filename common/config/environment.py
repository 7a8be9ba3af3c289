"""The environment of this process, apart from settings: what others have put there for us."""

import os
import pwd

from common.config import sources


def notify_socket() -> str:
    """systemd's NOTIFY_SOCKET, or "". Removed from the environment when read."""
    return os.environ.pop("NOTIFY_SOCKET", "")


def hand_on_notify_socket(address: str) -> None:
    """Put it back, for the program that this process becomes."""
    if address:
        os.environ["NOTIFY_SOCKET"] = address


def forget_libpq_variables() -> None:
    """Remove the variables of PostgreSQL's client library from the environment."""
    for name in sources.libpq_variables(os.environ):
        os.environ.pop(name, None)


def failpoint() -> str:
    """The failpoint that a test arms, or "" (common/failpoints.py)."""
    return os.environ.get(sources.FAILPOINT_VARIABLE, "")


def journal_stream() -> str:
    """Device and inode of the stream to systemd's journal, or ""."""
    return os.environ.get("JOURNAL_STREAM", "")


def colours_wanted() -> bool:
    """True unless NO_COLOR is set (https://no-color.org) or TERM is dumb."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def environment_default(name: str, value: str) -> None:
    """Set an environment variable for a library unless it is set already."""
    os.environ.setdefault(name, value)


def login() -> str:
    """Who runs this command: the login behind sudo, or the user of this process."""
    behind_sudo = os.environ.get("SUDO_USER")
    if behind_sudo and os.geteuid() == 0:
        return behind_sudo
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user of a container, without an entry
        return f"uid {os.getuid()}"
