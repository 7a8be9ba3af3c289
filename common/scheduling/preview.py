"""What a pass would do: the result of a dry run, and the reasons for one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# Rows that a dry run shows.
PREVIEW_ROWS = 10


@dataclass(frozen=True, slots=True)
class Ages:
    """How many due rows became due when: within the last 24 hours, before that within the last 7
    days, and so on. ``unknown``: their rows do not say. ``oldest`` is the first time of all."""

    day: int = 0
    week: int = 0
    month: int = 0
    older: int = 0
    unknown: int = 0
    oldest: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would do: the number of due rows, and the first of them.

    ``ages`` are those of all due rows, None if nothing is known of them. The pass would leave at
    most so many ``events``; one that adopts rows, so many to be tried again.
    """

    count: int
    rows: Sequence[Mapping[str, Any]]
    ages: Ages | None = None
    events: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition by its name, and whether one row meets it.

    ``values`` are those of the row that decide, ``settings`` those that it is compared with.
    ``not_before`` is set if only time has to pass: the row meets it from then on.
    """

    name: str
    is_met: bool
    values: Mapping[str, Any]
    settings: Mapping[str, str]
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a pass at ``now`` would find one row, or not.

    ``place`` is where it is, ``shown`` what a dry run shows of it, ``conditions`` all that a due
    row meets, and ``since`` the moment at which it became or becomes due, None if unknown.
    """

    place: str
    now: datetime
    shown: Mapping[str, Any]
    conditions: Sequence[Checked]
    since: datetime | None = None

    @property
    def is_due(self) -> bool:
        """Whether a pass would find the row."""
        return all(condition.is_met for condition in self.conditions)
