"""The benchmarks of `make bench`: results, judgement, table and watch, and a floor that does
the same as its worker."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import floor, retention, table, throughput, work
from benchmarks.__main__ import BENCHMARKS
from benchmarks.benchmark import Benchmark, Figures, Goal
from benchmarks.idle import passes
from benchmarks.idle import rows as idle_rows
from benchmarks.results import Results
from benchmarks.rows import FilledDatabase
from benchmarks.takeover import pace
from benchmarks.takeover.live_pool import Shape
from benchmarks.watch import watch
from benchmarks.web import pages as web_pages
from benchmarks.web.filling import busy
from benchmarks.worker_pass import measure
from common.cli.check.big_tables import BIG_ROWS
from generate import result_table
from testing.arena import Arena
from testing.topics import ReceivedMessage, Topic
from workers.twitchbot import message_cleanup

WORKS = {
    "link-expiration": work.LINK_EXPIRATION,
    "post-publisher": work.POST_PUBLISHER,
    "item-expiration": work.ITEM_EXPIRATION,
    "stock-level": work.STOCK_LEVEL,
}
DUE = 120


@pytest.fixture(scope="module")
def arena(servers: None) -> Iterator[Arena]:
    with Arena() as arena:
        yield arena


def benchmark(*ratios: float) -> Benchmark:
    """One whose runs find these ratios, in turn."""
    runs = itertools.cycle(ratios)

    def play(arena: Arena) -> Figures:
        return {"times the floor": next(runs), "memory": 50}

    goals = (Goal("times the floor", 1.15), Goal("memory", 64, " MB"))
    return Benchmark("links", "1,000 links", play, goals, watched="times the floor")


def played(path: Path, *ratios: float) -> tuple[Benchmark, Results]:
    found = benchmark(*ratios)
    results = Results(path / "results.json")
    results.keep(found, [{"times the floor": ratio, "memory": 50} for ratio in ratios])
    return found, results


def test_every_benchmark_has_a_title_of_its_own_and_watches_a_figure_it_has() -> None:
    assert len({each.title for each in BENCHMARKS}) == len(BENCHMARKS)
    for each in BENCHMARKS:
        assert each.watched in ("", *(goal.name for goal in each.goals)), each.title


def test_median_least_and_most_of_the_runs_are_kept(tmp_path: Path) -> None:
    first, _ = played(tmp_path, 1.3, 1.0, 1.1)

    result = Results(tmp_path / "results.json").of(first)

    assert result is not None
    spread = result.figures["times the floor"]
    assert (spread.median, spread.least, spread.most, result.runs) == (1.1, 1.0, 1.3, 3)
    assert result.medians == {"times the floor": 1.1, "memory": 50}


def test_what_is_not_played_keeps_what_it_had(tmp_path: Path) -> None:
    first, results = played(tmp_path, 1.1)
    other = Benchmark("links", "another", first.play, first.goals)
    results.keep(other, [{"times the floor": 2.0, "memory": 60}])

    stored = json.loads((tmp_path / "results.json").read_text())

    assert list(stored) == ["1,000 links", "another"]
    assert stored["1,000 links"]["figures"]["times the floor"]["median"] == 1.1


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        ({"times the floor": 1.15, "memory": 64}, []),
        (
            {"times the floor": 1.2, "memory": 64},
            ["1,000 links: times the floor is 1.2, expected at most 1.15"],
        ),
        ({"times the floor": 1.0}, ["1,000 links: memory is not known, expected at most 64 MB"]),
    ],
)
def test_a_goal_is_missed_by_a_median_beyond_it(figures: Figures, missed: list[str]) -> None:
    assert benchmark(1.0).missed(figures) == missed


@pytest.mark.parametrize(("ratio", "reached"), [(1.1, "yes"), (1.2, "**no**")])
def test_the_table_shows_figure_goal_and_whether_it_is_reached(
    tmp_path: Path, ratio: float, reached: str
) -> None:
    one, results = played(tmp_path, ratio)
    result = results.of(one)
    assert result is not None

    text = table.render([(one, result)])

    row = f"| 1,000 links | times the floor {ratio} (1.15), memory 50 MB (64 MB) | 1 | {reached} |"
    assert row in text.splitlines()
    assert result_table.machine() in text


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        # The first run is not counted.
        ((9.9, 2.1, 1.9, 2.3), []),
        (
            (1.0, 2.3, 2.4, 1.0),
            ["1,000 links: times the floor 2.3, stored 1.1: more than 2 times as much"],
        ),
    ],
)
def test_twice_the_stored_ratio_is_a_drift(
    tmp_path: Path, arena: Arena, ratios: tuple[float, ...], expected: list[str]
) -> None:
    _, results = played(tmp_path, 1.1)

    assert list(watch(arena, [benchmark(*ratios)], results)) == expected


def test_nothing_stored_is_a_fault_of_the_watch(tmp_path: Path, arena: Arena) -> None:
    faults = list(watch(arena, [benchmark(1.0)], Results(tmp_path / "none.json")))

    assert faults == ["1,000 links: nothing to compare with, run `make bench BENCH=links` once"]


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence.md"
    begin, end = "<!-- generated: bench -->", "<!-- end generated -->"
    evidence.write_text(f"before\n{begin}\nold\n{end}\nafter\n")

    result_table.write("bench", "new", evidence)

    assert evidence.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"


def test_a_table_without_a_place_is_not_written(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence.md"
    evidence.write_text("no place\n")

    with pytest.raises(ValueError, match="0 regions `generated: bench`"):
        result_table.write("bench", "new", evidence)
    assert evidence.read_text() == "no place\n"


def content(message: ReceivedMessage) -> tuple[object, ...]:
    """What two runs over the same rows have in common: all but the event's id and its time."""
    of_the_pass = ("detected_at", "published_at")
    data = message.json["data"]
    fields = {name: value for name, value in data.items() if name not in of_the_pass}
    headers = dict(message.headers)
    rest = (headers["event_type"], headers["ce_source"], headers["content-type"], list(headers))
    return fields, list(message.json), len(message.value), message.partition, *rest


@pytest.mark.parametrize("name", WORKS)
def test_floor_and_worker_send_the_same(arena: Arena, name: str) -> None:
    topics = [Topic(arena.kafka.address, topic) for topic in WORKS[name].scheduler.topics]

    figures = throughput.play(arena, WORKS[name], DUE)

    by_key: dict[str, list[ReceivedMessage]] = {}
    for message in itertools.chain.from_iterable(topic.so_far() for topic in topics):
        by_key.setdefault(message.key, []).append(message)
    assert len(by_key) == DUE
    for of_worker, of_floor in by_key.values():
        assert content(of_worker) == content(of_floor)
    assert figures["times the floor"] == figures["seconds"] / figures["floor"]
    assert figures[throughput.CPU] > 0
    assert figures[throughput.CPU_OF_FLOOR] > 0


LEFT = {
    "webhook-retry": (work.WEBHOOK_RETRY, "webhook_deliveries WHERE status = 'retrying'", DUE),
    "message-cleanup": (retention.MESSAGES, "twitchbot_messages", DUE // 2),
    "webhook-cleanup": (
        retention.DELIVERIES,
        "webhook_delivery_attempts JOIN webhook_deliveries ON delivery_id = webhook_deliveries.id",
        DUE // 2 * 3,
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_floor_changes_the_rows_that_the_worker_changes(arena: Arena, name: str) -> None:
    chosen, left, expected = LEFT[name]
    with chosen.rows(DUE).database(arena) as by_floor:
        floor.change(by_floor, chosen.floor, {"now": datetime.now(UTC)})
        assert by_floor.count(left) == expected
    with chosen.rows(DUE).database(arena) as by_worker:
        measured = measure(by_worker, chosen.scheduler, DUE)
        assert by_worker.count(left) == expected
    assert 0 < measured.seconds < measured.from_start


def test_a_pace_that_fits_lets_a_pool_with_a_short_queue_refuse_nothing(arena: Arena) -> None:
    shape = Shape(queue=30, workers=4, seconds=0.05)

    burst = pace.publish(arena, shape, events=150, per_second=0)
    paced = pace.publish(arena, shape, events=150, per_second=50)

    assert burst.taken + burst.refused == paced.taken == 150
    assert burst.refused > 0
    assert (paced.refused, paced.sent > 0) == (0, True)


def test_roomy_pages_hold_half_as_many_of_the_same_rows(arena: Arena) -> None:
    pages = "SELECT pg_relation_size('link_links') AS size, count(*) FROM link_links"

    with work.LINK_EXPIRATION.rows(1_000).database(arena) as full:
        in_full = full.one(pages)
    with work.ROOMY_LINK_EXPIRATION.rows(1_000).database(arena) as roomy:
        in_roomy = roomy.one(pages)

    assert in_full["count"] == in_roomy["count"] == 2_000
    assert 1.8 < in_roomy["size"] / in_full["size"] < 2.3


def test_an_idle_pass_is_played_with_the_proposed_index_and_leaves_none(arena: Arena) -> None:
    scheduler, rows = message_cleanup.SCHEDULER, BIG_ROWS + 1

    figures = passes.play(arena, scheduler, idle_rows.MESSAGES, rows)

    assert all(figure > 0 for figure in figures.values())
    database = FilledDatabase(idle_rows.MESSAGES, rows).original(arena)
    proposed = "tablename = 'twitchbot_messages' AND indexdef LIKE '%(created_at)'"
    assert database.count(f"pg_indexes WHERE {proposed}") == 0


def test_no_page_reads_the_whole_of_a_full_outbox(arena: Arena) -> None:
    events = 60_000
    [full, beside_empty] = web_pages.BENCHMARKS

    figures = web_pages.play(arena, busy(1, events, 20), requests=2)
    ratio = web_pages.play_beside_empty(arena, busy(1, events, 20), requests=2)

    assert set(figures) == {goal.name for goal in full.goals}
    assert set(ratio) == {goal.name for goal in beside_empty.goals}
    assert figures[web_pages.FULL_SCANS] == 0
    assert 0 < figures[web_pages.MOST_ROWS] < events * 3 / 4
