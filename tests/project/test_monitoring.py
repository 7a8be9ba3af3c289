"""Alert rules and dashboard, judged by promtool and by a Prometheus that scrapes real workers."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import workers
from common.scheduling import overdue
from demo import embedded
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.prometheus import Prometheus
from testing.processes import Process, bare

MONITORING = ROOT / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
RULES = (MONITORING / "alerts.yml").read_text("utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)

# What a test cannot wait for: an hour's increase, and a pass a day.
SHORTER = {"$__rate_interval": "30s", "$service": ".*", "offset 1d": "offset 1ms"}


def expressions_of_rules() -> list[str]:
    found = re.findall(r" expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", RULES)
    return [" ".join((block or line).split()) for block, line in found]


def expressions_of_panels() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


# --- promtool ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml")],
    ids=["configuration", "rules"],
)
def test_promtool_finds_nothing_to_complain_about(
    arguments: tuple[str, ...], promtool: str
) -> None:
    done = subprocess.run([promtool, *arguments], cwd=MONITORING, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_are_silent_when_they_should(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "test", "rules", "alerts_test.yml"],
        cwd=MONITORING,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_both_ways_and_has_a_row_in_the_runbook(alert: str) -> None:
    tests = (MONITORING / "alerts_test.yml").read_text("utf-8")
    assert re.search(rf"alertname: {alert}, exp_alerts: \[\]", tests)
    assert re.search(rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", tests)
    assert f"| `{alert}` |" in (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_overdue_is_the_same_to_prometheus_and_to_us() -> None:
    formula = f"> {overdue.INTERVALS} * toast_job_interval_seconds + {overdue.MARGIN_SECONDS:g}"
    assert RULES.count(formula) == 2
    assert f"({formula[2:]})" in (MONITORING / "grafana-dashboard.json").read_text("utf-8")


# --- the dashboard ----------------------------------------------------------------------------


def test_the_dashboard_takes_its_data_source_from_a_variable() -> None:
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == [
        "datasource",
        "service",
    ]
    for panel in DASHBOARD["panels"]:
        for place in (panel, *panel.get("targets", ())):
            if panel["type"] != "row":
                assert place["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_do_not_overlap_and_have_an_id_each() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_one_row_is_repeated_for_every_service() -> None:
    assert [panel["title"] for panel in DASHBOARD["panels"] if "repeat" in panel] == ["$service"]
    repeated = [expression for expression in expressions_of_panels() if "$service" in expression]
    for name in (
        *("background_job_executions_total", "background_job_failures_total"),
        *("background_job_duration_seconds_bucket", "toast_job_items_total"),
        *("toast_backlog_rows", "toast_outbox_waiting_events"),
    ):
        assert any(name in expression for expression in repeated), name


# --- a real Prometheus and real workers -------------------------------------------------------


class Monitored(NamedTuple):
    """All eight workers on sample data, and a Prometheus that scrapes them once a second."""

    prometheus: Prometheus
    processes: dict[str, Process]


@pytest.fixture(scope="module")
def monitored(
    promtool: str, servers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitored]:
    folder = tmp_path_factory.mktemp("monitoring")
    before = dict(os.environ)
    ports = {name: free_port() for name in workers.SERVICES}
    try:
        with ExitStack() as stack:
            embedded.start(stack, folder, {})
            processes = {
                name: stack.enter_context(
                    Process(f"workers.{name}", env=bare(METRICS_PORT=str(port)))
                )
                for name, port in ports.items()
            }
            for process in processes.values():
                process.wait_for("metrics_port_opened")
            configuration = _configuration(folder, ports)
            yield Monitored(stack.enter_context(Prometheus(configuration, folder)), processes)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _configuration(folder: Path, ports: dict[str, int]) -> Path:
    """The example, with other ports and less patience."""
    text = (MONITORING / "prometheus.yml").read_text("utf-8").replace("15s", "1s")
    for name, port in ports.items():
        text = text.replace(f":{workers.load(name).metrics_port}", f":{port}")
    (folder / "alerts.yml").write_text(re.sub(r" for: \w+", " for: 2s", RULES))
    (folder / "prometheus.yml").write_text(text)
    return folder / "prometheus.yml"


def test_every_expression_returns_data_and_nothing_is_alarmed(monitored: Monitored) -> None:
    prometheus = monitored.prometheus
    schedulers = [one for name in workers.SERVICES for one in workers.load(name).schedulers]
    prometheus.wait_for('up{job="toast-workers"} == 1', count=len(workers.SERVICES))
    prometheus.wait_for("toast_job_last_success_timestamp_seconds", count=len(schedulers))
    counted = [one for one in schedulers if one.work.backlog]
    prometheus.wait_for("toast_backlog_rows", count=len(counted))
    prometheus.wait_for("toast_remote_calls_total > 0", count=4)

    for expression in [*expressions_of_rules(), *expressions_of_panels()]:
        for variable, value in SHORTER.items():
            expression = expression.replace(variable, value)
        prometheus.wait_for(_without_thresholds(expression))
    assert prometheus.firing() == set()


def _without_thresholds(expression: str) -> str:
    """What is compared, whether or not it is over its threshold: true and false are both data.

    What ``unless on`` leaves out stays left out.
    """
    compared, unless, left_out = expression.partition(" unless on ")
    return re.sub(r" (==|>=|<=|>|<) ", r" \1 bool ", compared) + unless + left_out


def test_what_is_amiss_is_alarmed(monitored: Monitored) -> None:
    prometheus = monitored.prometheus
    monitored.processes["sse"].kill()
    assert poll_until(lambda: prometheus.firing() == {("ToastWorkerDown", "sse")}, PATIENCE, 0.2), (
        prometheus.firing()
    )
