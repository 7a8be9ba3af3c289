"""Counters, gauges and histograms, in Prometheus' text format, version 0.0.4.

Our own, because prometheus_client also loads a web server and a web client: a tenth of an idle
worker's memory and of its time to the first pass.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Generic, Literal, TypeVar

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]

_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_VALUE_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Counter:
    """One series of a counter; starts at 0."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        with self._lock:
            self.value += amount

    def samples(self, name: str, labels: Labels) -> Iterator[str]:
        yield _sample(name, labels, self.value)


class Gauge(Counter):
    """One series of a gauge; starts at 0."""

    def set(self, value: float) -> None:
        with self._lock:
            self.value = float(value)


class Histogram:
    """One series of a histogram: number of values up to each limit, and their sum."""

    def __init__(self, limits: Sequence[float]) -> None:
        self._lock = threading.Lock()
        self._limits = limits
        self._counts = [0.0] * (len(limits) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        with self._lock:
            self._counts[bisect_left(self._limits, value)] += 1
            self._sum += value

    def add(self, counts: Sequence[float], total: float) -> None:
        """Add values that were counted elsewhere: their number up to each limit, but above the one
        before, then of those above the last; and their sum."""
        with self._lock:
            self._counts = [have + more for have, more in zip(self._counts, counts, strict=True)]
            self._sum += total

    def samples(self, name: str, labels: Labels) -> Iterator[str]:
        with self._lock:
            *counts, count = accumulate(self._counts)
            total = self._sum
        for limit, at_most in zip(self._limits, counts, strict=True):
            yield _sample(f"{name}_bucket", (("le", str(float(limit))), *labels), at_most)
        yield _sample(f"{name}_bucket", (("le", "+Inf"), *labels), count)
        yield _sample(f"{name}_count", labels, count)
        yield _sample(f"{name}_sum", labels, total)


Series = TypeVar("Series", bound=Counter | Histogram)


class Metric(Generic[Series]):
    """A metric with one series for each combination of label values."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        documentation: str,
        labels: Sequence[str],
        new_series: Callable[[], Series],
    ) -> None:
        self.kind = kind
        self.name = name
        self.documentation = documentation
        self._label_names = labels
        self._new_series = new_series
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], Series] = {}

    def labels(self, *values: str) -> Series:
        """The series with these label values; created at first use."""
        with self._lock:
            if values not in self._known:
                self._known[values] = self._new_series()
            return self._known[values]

    def remove(self, *values: str) -> None:
        """Remove this series."""
        with self._lock:
            self._known.pop(values, None)

    def lines(self) -> Iterator[str]:
        """The metric and its series, as lines of the text format."""
        yield from heading(self.kind, self.name, self.documentation)
        with self._lock:
            known = list(self._known.items())
        for values, series in known:
            labels = tuple(zip(self._label_names, values, strict=True))
            yield from series.samples(self.name, labels)


class Registry:
    """All metrics of a process, in the order of their declaration."""

    def __init__(self) -> None:
        self.metrics: list[Metric[Counter] | Metric[Gauge] | Metric[Histogram]] = []

    def counter(self, name: str, documentation: str, labels: Sequence[str]) -> Metric[Counter]:
        metric = Metric("counter", name, documentation, labels, Counter)
        self.metrics.append(metric)
        return metric

    def gauge(self, name: str, documentation: str, labels: Sequence[str]) -> Metric[Gauge]:
        metric = Metric("gauge", name, documentation, labels, Gauge)
        self.metrics.append(metric)
        return metric

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str], limits: Sequence[float]
    ) -> Metric[Histogram]:
        """``limits`` ascend; a value above the last is counted, too."""
        new_series = partial(Histogram, limits)
        metric = Metric("histogram", name, documentation, labels, new_series)
        self.metrics.append(metric)
        return metric


def heading(kind: Kind, name: str, documentation: str) -> Iterator[str]:
    """The HELP and TYPE lines of a metric."""
    yield f"# HELP {name} {documentation.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Labels, value: float) -> str:
    written = ",".join(f'{label}="{text.translate(_VALUE_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{written}}} {value}" if written else f"{name} {value}"
