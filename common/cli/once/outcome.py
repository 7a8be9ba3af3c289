"""How the pass of one scheduler ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """The result of one scheduler; ``rows`` only in a dry run, ``paused`` if it was."""

    name: str
    result: str
    counts: Mapping[str, int]
    seconds: float
    error: str
    rows: Sequence[Mapping[str, Any]] | None = None
    paused: bool = False

    @property
    def failed(self) -> bool:
        return self.result in ("failed", NOT_RUN) or self.paused

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "result": self.result,
            "counts": dict(self.counts),
            "seconds": round(self.seconds, 3),
            "error": self.error,
            **({} if self.rows is None else {"rows": self.rows}),
        }
