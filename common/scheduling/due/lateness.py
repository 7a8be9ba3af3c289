"""How late rows were: the time from the moment at which a row was due to the pass that did it."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple, Self

from common.metrics import LATENESS_SECONDS as LIMITS

# width_bucket() counts a value that equals a limit above it, a histogram below: so the negative.
_NEGATIVE = ",".join(f"{-limit}" for limit in reversed(LIMITS))
_CLASS = f"{len(LIMITS)} - width_bucket(-late, ARRAY[{_NEGATIVE}]::float8[])"

# Nobody was late for a moment that is no time.
_COUNT = f"""(
    SELECT array_agg(ARRAY[class, rows, seconds]) FROM (
        SELECT {_CLASS} AS class, count(*)::float8 AS rows, sum(late) AS seconds
        FROM (
            SELECT date_part('epoch', %(now)s - since) AS late
            FROM {{rows}} WHERE since > '-infinity'{{condition}}
        ) AS each GROUP BY 1
    ) AS classes)"""


class Lateness(NamedTuple):
    """The number of rows up to each of LIMITS, but above the one before, then of those above the
    last; and the sum of all their ``seconds``. Without ``counts``, nothing is known."""

    counts: tuple[int, ...] = ()
    seconds: float = 0.0

    @classmethod
    def of(cls, late: float) -> Self:
        """One row that was so many seconds late; infinity is no time."""
        if not math.isfinite(late):
            return cls()
        return cls._of_classes([(bisect_left(LIMITS, late), 1, late)])

    @classmethod
    def read(cls, classes: Sequence[Sequence[float]] | None) -> Self:
        """The value of ``sql``."""
        return cls._of_classes(classes or ())

    def plus(self, other: "Lateness") -> "Lateness":
        pairs = zip_longest(self.counts, other.counts, fillvalue=0)
        return Lateness(tuple(map(sum, pairs)), self.seconds + other.seconds)

    @classmethod
    def _of_classes(cls, classes: Sequence[Sequence[float]]) -> Self:
        counts = [0] * (len(LIMITS) + 1) if classes else []
        for place, rows, _ in classes:
            counts[int(place)] += int(rows)
        return cls(tuple(counts), sum(seconds for _, _, seconds in classes))


UNKNOWN = Lateness()


def sql(rows: str, condition: str = "") -> str:
    """SQL for the lateness of these rows at ``now``; their column ``since`` is when they were due.

    Rows that do not meet the ``condition``, and those without a time, are not counted.
    """
    return _COUNT.format(rows=rows, condition=f" AND ({condition})" if condition else "")
