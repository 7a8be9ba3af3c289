"""What a file gives to the live services, and where in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import PassError


class LiveFileError(PassError):
    """A file that cannot be read, or not be understood; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Given:
    """A variable with its value, where it was set, and what is doubtful about the value.

    ``is_open`` if the value is known only to the shell that starts Compose.
    """

    name: str
    value: str
    origin: str
    doubts: tuple[str, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """The variables of one service of a Compose file, or of all services of an `.env`.

    ``name`` is the service's in the Compose file, or "" in an `.env`; of two values with one name
    the later counts.
    """

    name: str
    given: Sequence[Given]


@dataclass(frozen=True, slots=True)
class LiveFile:
    """The content of a file; ``hosts`` are the host names that exist only among its containers,
    each with the ports that it publishes."""

    path: str
    containers: Sequence[Container]
    hosts: Mapping[str, str] = field(default_factory=dict)


def place(path: object, line: int) -> str:
    """A line of a file, for a person."""
    return f"{path} line {line}"
