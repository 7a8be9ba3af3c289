"""The requests to the Battle.net stand-in, and the failures that a test orders."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(slots=True)
class Order:
    """The reply to the next ``times`` requests whose decoded path contains ``path``.

    ``status`` and ``headers`` make it an error, ``body`` replaces the body, ``edit`` changes its
    document in place; ``delay`` delays it by seconds, ``drip`` sends its bytes one by one with so
    many seconds between them, ``cut`` closes the connection in the middle.
    """

    path: str
    times: int = sys.maxsize
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    edit: Callable[[Any], object] | None = None
    delay: float = 0.0
    drip: float = 0.0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class BattleNetRequest:
    """One request, and the status of its reply.

    ``target`` is as on the wire; header names are in lower case; ``at`` is monotonic.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float
    status: int = 0

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        pairs = parse_qs(urlsplit(self.target).query)
        return {name: values[0] for name, values in pairs.items()}
