"""What comes in at the Battle.net stand-in, and how it is told to misbehave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(slots=True)
class Order:
    """How to answer requests whose decoded path contains ``path``, so many ``times``.

    ``status`` and ``headers`` make it an error, ``body`` takes the place of what is sent,
    ``edit`` changes its document in place; ``delay`` holds it back by so many seconds, ``drip``
    sends its bytes one by one with so many in between, ``cut`` hangs up half-way.
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
    """One request as it came in, and the status it was answered with.

    ``target`` is raw, as on the wire; header names are in lower case; ``at`` is monotonic.
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
