"""A worker's metrics as a scrape reads them, and the rest that its port answers.

port = free_port()
with Process("workers.link", env=environment(database, METRICS_PORT=str(port))) as worker:
    worker.wait_for("pass_finished")
    assert scrape(port).value("background_job_executions_total", result="ok") == 1
"""

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from devservers.child_processes import PATIENCE


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered with; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of an exposition: the family that it belongs to, and its own name."""

    family: str
    name: str
    labels: Mapping[str, str]
    value: float


class Scrape:
    """The answer of /metrics at one moment."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            Sample(_family(family.name, family.type), sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    @property
    def labels(self) -> dict[str, set[str]]:
        """The names of the labels of each family that has samples; a bucket's limit is none."""
        found: dict[str, set[str]] = {}
        for sample in self.samples:
            found.setdefault(sample.family, set()).update(sample.labels.keys() - {"le"})
        return found

    def values(self, name: str, by: str, **labels: str) -> dict[str, float]:
        """The samples of this name with these labels, by the value of another label."""
        return {
            sample.labels[by]: sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample of this name with these labels; None if it is not there."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) < 2, f"{name} {labels} is not one sample but {len(found)}"
        return found[0] if found else None


def _family(name: str, kind: str) -> str:
    """The parser leaves a counter's suffix out; HELP and TYPE have it."""
    return f"{name}_total" if kind == "counter" else name


def ask(port: int, path: str = "/metrics", method: str = "GET") -> Answer:
    """Send one request to this port of 127.0.0.1. OSError if nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.putrequest(method, path)
        connection.endheaders()
        with connection.getresponse() as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read().decode())
    finally:
        connection.close()


def scrape(port: int) -> Scrape:
    answer = ask(port)
    assert answer.status == 200, answer.text
    return Scrape(answer.text)


def scrape_until(port: int, done: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until it is done; the scrape that did it. AssertionError if none does."""
    deadline = time.monotonic() + PATIENCE
    ask_until(port, "/metrics", 200)
    while not done(scraped := scrape(port)):
        assert time.monotonic() < deadline, scraped.text
        time.sleep(0.05)
    return scraped


def ask_until(port: int, path: str, status: int) -> Answer:
    """Ask until the answer has this status. AssertionError if it never does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = ask(port, path)
        except OSError as error:
            answer = Answer(0, {}, str(error))  # it does not listen yet
        if answer.status == status:
            return answer
        assert time.monotonic() < deadline, f"{path}: {answer.status} {answer.text}"
        time.sleep(0.05)


def scrape_after(port: int, scheduler: str, result: str = "ok", *, passes: int = 1) -> Scrape:
    """Scrape until so many passes have ended with this result: metrics follow the log."""
    name = "background_job_executions_total"
    return scrape_until(
        port,
        lambda scraped: (scraped.value(name, scheduler=scheduler, result=result) or 0) >= passes,
    )
