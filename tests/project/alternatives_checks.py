"""The alternatives to the worker of link do its work, as the benchmarks of them claim."""

from collections.abc import Iterator

import pytest

from benchmarks.alternatives import ALTERNATIVES, CELERY, PROCRASTINATE, Alternative
from benchmarks.alternatives.passes import of_alternative
from benchmarks.alternatives.restarts import lost_by_alternative, lost_by_worker
from testing.arena import Arena

# The first of them installs the libraries.
pytestmark = [pytest.mark.timeout(400), pytest.mark.servers]

DUE = 20


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with Arena() as arena:
        yield arena


@pytest.mark.parametrize("alternative", ALTERNATIVES, ids=lambda each: each.title)
def test_an_alternative_expires_and_announces_every_due_link(
    alternative: Alternative, arena: Arena
) -> None:
    figures = of_alternative(arena, alternative.commands, DUE)

    assert (figures.rows, figures.events) == (DUE, DUE)
    assert figures.seconds > 0
    assert figures.megabytes > 10  # no interpreter takes less


@pytest.mark.parametrize("alternative", [CELERY, PROCRASTINATE], ids=lambda each: each.title)
def test_an_alternative_loses_what_it_had_in_memory(alternative: Alternative, arena: Arena) -> None:
    assert lost_by_alternative(arena, alternative.commands, DUE) == DUE


def test_the_worker_loses_nothing(arena: Arena) -> None:
    assert lost_by_worker(arena, DUE) == 0
