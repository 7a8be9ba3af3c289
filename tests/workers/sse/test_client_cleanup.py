"""client-cleanup against a stand-in for the SSE service: who goes, and what a failure leaves."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from common import config
from common.config import SettingsError
from common.errors import PassError
from common.scheduling.preview import Preview
from common.scheduling.scheduler import NOTHING, PassResult
from common.scheduling.under_way.clock_guard import ClocksDiffer
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, poll_until
from devservers.standins.sse import SseServer, new_client
from testing.database import TestDatabase
from testing.passes import GO_ZERO_TIME, HOUR, MICROSECOND, MINUTE, NOW, preview, run_pass
from testing.processes import Process, environment, toast
from workers.sse import SERVICE
from workers.sse.client_cleanup import FRESH_SECONDS, MOST_ROUNDS, PARALLEL_CALLS, SCHEDULER
from workers.sse.sse_management_pb2 import ClientInfo, DisconnectClientRequest

TIMEOUT = 30 * MINUTE
LONG_AGO = NOW - 5 * HOUR

DUE: dict[str, dict[str, Any]] = {
    "quiet for exactly the timeout": {"connected_at": LONG_AGO, "last_event_at": NOW - TIMEOUT},
    "quiet for hours": {"connected_at": LONG_AGO, "last_event_at": NOW - 4 * HOUR},
    "no event since it connected": {"connected_at": LONG_AGO, "last_event_at": LONG_AGO},
    "no event, no time for it": {"connected_at": NOW - 31 * MINUTE},
    "no event, a zero time for it": {"connected_at": LONG_AGO, "last_event_at": Timestamp()},
    "no event, Go's zero time for it": {"connected_at": LONG_AGO, "last_event_at": GO_ZERO_TIME},
    "connected at an unknown time": {"last_event_at": NOW - 31 * MINUTE},
}
STAYS: dict[str, dict[str, Any]] = {
    "a microsecond short of the timeout": {
        "connected_at": LONG_AGO,
        "last_event_at": NOW - TIMEOUT + MICROSECOND,
    },
    "an event just now": {"connected_at": LONG_AGO, "last_event_at": NOW},
    "connected lately, no event yet": {"connected_at": NOW - 29 * MINUTE},
    "connected lately, Go's zero time": {
        "connected_at": NOW - MINUTE,
        "last_event_at": GO_ZERO_TIME,
    },
    "came back with the time of an old event": {
        "connected_at": NOW - MINUTE,
        "last_event_at": LONG_AGO,
    },
    "no time": {},
    "only zero times": {"connected_at": GO_ZERO_TIME, "last_event_at": Timestamp()},
    "an event beyond the year 9999": {"last_event_at": Timestamp(seconds=2**62)},
}


def clients(**times: dict[str, Any]) -> list[ClientInfo]:
    return [ClientInfo(id=client_id, **columns) for client_id, columns in times.items()]


def quiet(count: int, *, now: datetime = NOW) -> list[ClientInfo]:
    times = {"connected_at": now - HOUR, "last_event_at": now - 40 * MINUTE}
    return clients(**{f"quiet-{number}": times for number in range(count)})


def active(count: int, *, now: datetime = NOW) -> list[ClientInfo]:
    times = {"connected_at": now - HOUR, "last_event_at": now - 5 * MINUTE}
    return clients(**{f"active-{number}": times for number in range(count)})


def clean_up(database: TestDatabase, sse: SseServer, **details: Any) -> PassResult:
    return run_pass(database, SCHEDULER, SSE_GRPC_ADDR=sse.address, **details)


def preview_of(database: TestDatabase, sse: SseServer, **details: Any) -> Preview:
    return preview(database, SCHEDULER, SSE_GRPC_ADDR=sse.address, **details)


def runs(database: TestDatabase) -> list[dict[str, Any]]:
    return database.query("SELECT result, counts, error FROM toast_runs ORDER BY started_at")


def test_inactive_clients_are_disconnected_and_no_others(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*clients(**DUE), *clients(**STAYS))

    result = clean_up(module_database, sse)

    assert sorted(sse.cuts) == sorted(DUE)
    assert set(sse.clients) == set(STAYS)
    assert result == PassResult(
        processed=len(DUE),
        details={"clients": len(DUE | STAYS), "inactive": len(DUE), "active_again": 0},
    )


def test_the_timeout_is_the_one_that_is_set(module_database: TestDatabase, sse: SseServer) -> None:
    sse.connect(
        *clients(
            old={"last_event_at": NOW - 2 * MINUTE},
            young={"last_event_at": NOW - 2 * MINUTE + MICROSECOND},
        )
    )

    clean_up(module_database, sse, SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT="2m")

    assert sse.cuts == ["old"]


def test_without_clients_nothing_happens(module_database: TestDatabase, sse: SseServer) -> None:
    assert clean_up(module_database, sse).counts["clients"] == 0
    assert sse.cuts == []


def test_without_inactive_clients_the_list_is_only_read_until_it_repeats_itself(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*active(30))

    clean_up(module_database, sse)

    assert sse.listings == 2


def test_no_client_is_missed_on_short_pages_in_changing_order(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(100), *active(50))
    sse.orders.page_clients = 7

    result = clean_up(module_database, sse)

    assert sorted(sse.cuts) == sorted(client.id for client in quiet(100))
    assert set(sse.clients) == {client.id for client in active(50)}
    assert result.counts["clients"] == 150


def test_a_client_that_rarely_shows_up_is_looked_for_as_long_as_the_service_counts_it(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(6))
    sse.orders.page_clients = 3

    # The order is chance: where the rule is broken, one of twenty lists is too short.
    for _ in range(20):
        assert preview_of(module_database, sse).count == 6


def test_clients_that_connect_all_the_time_do_not_keep_a_pass_going(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(3))
    sse.orders.connect_on_listing = 1

    assert clean_up(module_database, sse).processed == 3
    assert sse.listings <= 5


def test_a_list_that_always_shows_a_new_client_is_given_up(
    module_database: TestDatabase, sse: SseServer
) -> None:
    # By this clock even those who connect during the pass were there before it.
    now = datetime.now(UTC) + MINUTE
    sse.connect(*active(3, now=now))
    sse.orders.connect_on_listing = 1

    clean_up(module_database, sse, now=now)

    assert sse.listings == MOST_ROUNDS


def test_a_client_that_becomes_active_after_it_was_listed_is_not_cut(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(5))
    # Two rounds make up the first look, the third is the one to make sure.
    sse.orders.active_once_listed = {"quiet-1": 2, "quiet-3": 2}

    result = clean_up(module_database, sse)

    assert sorted(sse.cuts) == ["quiet-0", "quiet-2", "quiet-4"]
    assert set(sse.clients) == {"quiet-1", "quiet-3"}
    assert (result.processed, result.counts["active_again"]) == (3, 2)


def test_a_cut_rests_on_a_look_of_the_last_half_second(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(2 * PARALLEL_CALLS + 1))
    # Two calls at a time: this many take longer than a look stays fresh.
    sse.orders.slow = {"DisconnectClient": 2.5 * FRESH_SECONDS / PARALLEL_CALLS}

    result = clean_up(module_database, sse)

    cuts_after_a_look = [0]
    for request in sse.requests:
        if isinstance(request, DisconnectClientRequest):
            cuts_after_a_look[-1] += 1
        else:
            cuts_after_a_look.append(0)
    assert max(cuts_after_a_look) == PARALLEL_CALLS
    assert result.processed == 2 * PARALLEL_CALLS + 1


def test_a_client_that_leaves_by_itself_is_not_waited_for(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(3))
    sse.orders.gone_once_listed = {"quiet-1": 2}

    result = clean_up(module_database, sse)

    assert sorted(sse.cuts) == ["quiet-0", "quiet-2"]
    assert sse.listings == 4  # the last one shows all, and not the one who left
    assert (result.processed, result.failed, result.complete) == (2, 0, True)


def test_clients_that_cannot_be_disconnected_are_counted_and_named_and_stop_no_other(
    module_database: TestDatabase, sse: SseServer, caplog: pytest.LogCaptureFixture
) -> None:
    sse.connect(*quiet(PARALLEL_CALLS + 20))
    sse.connect(ClientInfo(id="", last_event_at=LONG_AGO))
    sse.orders.refused = {"quiet-1": "connection is pinned"}
    sse.orders.broken = {
        "quiet-2": grpc.StatusCode.INTERNAL,
        "quiet-3": grpc.StatusCode.UNAVAILABLE,
    }

    result = clean_up(module_database, sse)

    named = {
        fields["client_id"]: fields["reason"]
        for record in caplog.records
        if record.getMessage() == "client_disconnect_failed"
        for fields in [vars(record)["toast_fields"]]
    }
    assert named == {
        "": "INVALID_ARGUMENT: client_id is required",
        "quiet-1": "connection is pinned",
        "quiet-2": "INTERNAL: cannot disconnect quiet-2",
        "quiet-3": "UNAVAILABLE: cannot disconnect quiet-3",
    }
    assert (result.processed, result.failed) == (PARALLEL_CALLS + 17, 4)
    assert result.note in {f"client {client_id}: {reason}" for client_id, reason in named.items()}
    assert set(sse.clients) == set(named)
    assert len(sse.cuts) == len(set(sse.cuts)), "a client was asked for twice in one pass"


def test_without_the_service_the_pass_fails_and_names_the_setting(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.stop()

    with pytest.raises(PassError, match=rf"{sse.address} \(SSE_GRPC_ADDR\).*UNAVAILABLE"):
        clean_up(module_database, sse)


def test_a_service_that_does_not_answer_is_waited_for_as_long_as_is_set(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.freeze()

    with pytest.raises(PassError, match=r"no answer within 0\.2 s \(SSE_GRPC_TIMEOUT\)"):
        clean_up(module_database, sse, SSE_GRPC_TIMEOUT="200ms")


def test_a_service_that_goes_away_in_mid_pass_fails_it_with_what_was_done(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(4 * PARALLEL_CALLS))
    looks, cuts = 3, PARALLEL_CALLS + 10
    sse.orders.calls_until_away = looks + cuts

    with pytest.raises(PassError, match=rf"shutting down; disconnected until then: {cuts}$"):
        clean_up(module_database, sse)

    assert len(sse.clients) == 4 * PARALLEL_CALLS - cuts
    assert len(sse.cuts) <= 3 * PARALLEL_CALLS, "it went on as if the service were there"


def test_no_client_is_disconnected_while_the_clocks_of_database_and_host_differ(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(3))

    for act in (clean_up, preview_of):
        with pytest.raises(ClocksDiffer):
            act(module_database, sse, host_now=NOW - 11 * MINUTE)

    assert sse.requests == []


def test_a_stop_ends_the_pass_after_the_calls_under_way(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(3 * PARALLEL_CALLS))

    result = clean_up(module_database, sse, stopping=lambda: len(sse.cuts) > 0)

    assert (result.processed, result.complete) == (PARALLEL_CALLS, False)
    assert len(sse.clients) == 2 * PARALLEL_CALLS


def test_a_pass_reports_progress_with_every_page_and_every_round_of_disconnects(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(2 * PARALLEL_CALLS))
    signs: list[PassResult] = []

    clean_up(module_database, sse, report_progress=signs.append)

    assert len(signs) == sse.listings + 2
    assert sum(signs, NOTHING).processed == 2 * PARALLEL_CALLS


def test_a_dry_run_shows_the_longest_inactive_first_and_disconnects_none(
    module_database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(20), *active(3))
    oldest = {
        "connected_at": LONG_AGO,
        "last_event_at": NOW - 4 * HOUR,
        "remote_addr": "10.0.0.1:1",
    }
    sse.connect(*clients(oldest=oldest))

    shown = preview_of(module_database, sse)

    assert shown.count == 21
    assert len(shown.rows) == 10
    assert shown.rows[0] == {
        "client_id": "oldest",
        "connected_at": LONG_AGO,
        "last_event_at": NOW - 4 * HOUR,
        "remote_addr": "10.0.0.1:1",
    }
    assert sse.cuts == []


@pytest.mark.parametrize("address", ["one:9094,two:9094", "localhost"])
def test_an_address_that_is_not_one_host_and_port_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SSE_GRPC_ADDR", address)

    with pytest.raises(SettingsError) as refused:
        config.load("sse", SERVICE.variables, common=())

    [fault] = refused.value.faults
    assert "not host:port" in fault
    assert "expected host:port" in fault


def test_the_settings_have_their_documented_defaults() -> None:
    settings = config.load("sse", SERVICE.variables, common=())

    written = {variable.name: settings.written(variable) for variable in SERVICE.variables}
    assert written == {
        "METRICS_PORT": "9805",
        "SSE_CLIENT_CLEANUP_ENABLED": "true",
        "SSE_CLIENT_CLEANUP_INTERVAL": "5m",
        "SSE_CLIENT_CLEANUP_INACTIVE_TIMEOUT": "30m",
        "SSE_GRPC_ADDR": "localhost:9094",
        "SSE_GRPC_TIMEOUT": "5s",
    }


def test_grpc_is_not_loaded_before_a_pass_needs_it() -> None:
    check = "import sys, workers; workers.load('sse'); sys.exit('grpc' in sys.modules)"

    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


# Cuts clients by nothing but calls, each after the other; prints the seconds that takes.
ONE_BY_ONE = """
import sys, time
from datetime import timedelta
from workers.sse.sse_management import SseManagement

address, *ids = sys.argv[1:]
with SseManagement(address, timedelta(seconds=5)) as service:
    service.health()
    started = time.monotonic()
    assert not any(service.disconnect([id]) for id in ids)
    print(time.monotonic() - started)
"""


@pytest.mark.timeout(600)
def test_ten_thousand_clients_are_cut_in_one_pass_in_less_time_than_one_by_one(
    database: TestDatabase, sse: SseServer
) -> None:
    now = datetime.now(UTC)
    sse.connect(*(sample := quiet(1_000, now=now)))
    command = [sys.executable, "-c", ONE_BY_ONE, sse.address, *(client.id for client in sample)]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert not sse.clients
    one_by_one = 10 * float(told.stdout)

    sse.connect(*active(10, now=now))
    sse.connect(*(new_client(now, idle=HOUR, had_events=True) for _ in range(10_000)))
    with Process("workers.sse", env=environment(database, SSE_GRPC_ADDR=sse.address)) as worker:
        finished = worker.wait_for("pass_finished", seconds=one_by_one + PATIENCE)

    assert finished["processed"] == 10_000
    assert finished["seconds"] < one_by_one
    assert set(sse.clients) == {client.id for client in active(10)}


def test_a_killed_pass_is_taken_up_by_the_next_one(database: TestDatabase, sse: SseServer) -> None:
    now = datetime.now(UTC)
    sse.connect(*quiet(1_000, now=now), *active(20, now=now))
    sse.orders.slow = {"DisconnectClient": 0.01}
    env = environment(database, SSE_GRPC_ADDR=sse.address)
    with Process("workers.sse", env=env) as worker:
        assert poll_until(lambda: len(sse.cuts) > 100, PATIENCE)
        worker.kill()
    database.wait_until_left()
    sse.orders.slow = {}
    left = len(sse.clients)
    assert left > 20, "it was killed too late to prove anything"

    with Process("workers.sse", env=env) as worker:
        finished = worker.wait_for("pass_finished")

    assert set(sse.clients) == {client.id for client in active(20)}
    assert 20 < finished["clients"] <= left
    assert [run["result"] for run in runs(database)] == [None, "ok"]


def test_a_worker_stopped_in_mid_pass_exits_in_order(
    database: TestDatabase, sse: SseServer
) -> None:
    now = datetime.now(UTC)
    sse.connect(*quiet(2_000, now=now), *active(20, now=now))
    sse.orders.slow = {"DisconnectClient": 0.01}
    env = environment(database, SSE_GRPC_ADDR=sse.address)
    with Process("workers.sse", env=env) as worker:
        assert poll_until(lambda: len(sse.cuts) > 100, PATIENCE)
        assert worker.stop() == 0

    [run] = runs(database)
    assert run["result"] == "stopped"
    assert run["counts"]["processed"] == len(sse.cuts) == 2_020 - len(sse.clients)
    assert set(sse.clients) >= {client.id for client in active(20)}
    assert len(sse.clients) > 20


def test_a_worker_stops_in_time_while_the_service_is_stuck(
    database: TestDatabase, sse: SseServer
) -> None:
    sse.freeze()
    env = environment(database, SSE_GRPC_ADDR=sse.address, SSE_GRPC_TIMEOUT="1m")
    with Process("workers.sse", env=env) as worker:
        assert poll_until(lambda: sse.listings > 0, PATIENCE)

        assert worker.stop(signal.SIGINT) == 0


def test_of_two_workers_one_leaves_the_pass_to_the_other(
    database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(100, now=datetime.now(UTC)))
    sse.freeze()
    env = environment(database, SSE_GRPC_ADDR=sse.address, SSE_GRPC_TIMEOUT="1m")
    with Process("workers.sse", env=env) as first, Process("workers.sse", env=env) as second:
        assert poll_until(lambda: "skipped" in first.log + second.log, PATIENCE)
        sse.thaw()
        assert poll_until(lambda: "ok" in [run["result"] for run in runs(database)], PATIENCE)

    assert sorted(str(run["result"]) for run in runs(database)) == ["ok", "skipped"]
    assert sse.clients == {}
    assert len(sse.cuts) == 100


def test_a_worker_finds_the_service_soon_after_it_has_come_back(
    database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*quiet(3, now=datetime.now(UTC)))
    sse.stop()
    env = environment(database, SSE_GRPC_ADDR=sse.address, SSE_CLIENT_CLEANUP_INTERVAL="24h")
    with Process("workers.sse", env=env) as worker:
        failed = worker.wait_for("pass_failed")
        sse.start()
        finished = worker.wait_for("pass_finished")

    assert "SSE_GRPC_ADDR" in failed["error"]
    assert finished["processed"] == 3
    assert sse.clients == {}


def test_a_clock_over_a_minute_ahead_is_warned_of_once_per_process(
    database: TestDatabase, sse: SseServer
) -> None:
    sse.connect(*active(1, now=datetime.now(UTC)))
    sse.orders.clock_ahead = timedelta(seconds=30)
    sse.orders.active_once_listed = {"active-0": 1}
    env = environment(database, SSE_GRPC_ADDR=sse.address, SSE_CLIENT_CLEANUP_INTERVAL="100ms")
    with Process("workers.sse", env=env) as worker:
        worker.wait_for("pass_finished", count=3)
        assert worker.records("clock_skew_detected") == []
        sse.orders.clock_ahead = HOUR
        sse.orders.active_once_listed = {"active-0": 1}
        warning = worker.wait_for("clock_skew_detected")
        worker.wait_for("pass_finished", count=len(worker.records("pass_finished")) + 3)

    assert warning["level"] == "warning"
    assert 3_500 < warning["seconds"] <= 3_600
    assert len(worker.records("clock_skew_detected")) == 1
    assert sse.cuts == []


def test_the_command_shows_who_would_be_cut(database: TestDatabase, sse: SseServer) -> None:
    sse.connect(*quiet(2, now=datetime.now(UTC)), *active(1, now=datetime.now(UTC)))

    answer = toast("once", "sse", "--dry-run", env=environment(database, SSE_GRPC_ADDR=sse.address))

    assert answer.code == 0
    assert "client-cleanup: 2 due" in answer.out
    assert "quiet-0" in answer.out
    assert "active-0" not in answer.out
    assert sse.cuts == []
