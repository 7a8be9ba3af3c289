"""The reference of all settings: in the README, and as a file that systemd and we read alike."""

import io

import pytest
from dotenv import dotenv_values

import workers
from common import config, metrics
from common.cli import settings_reference
from devservers.child_processes import ROOT

README = ROOT / "README.md"

SERVICES = [workers.load(name) for name in workers.SERVICES]


def test_the_readme_has_the_table_that_the_code_gives() -> None:
    assert settings_reference.markdown(SERVICES) in README.read_text("utf-8"), (
        "put what `toast settings` prints into the README"
    )


def test_the_readme_tells_which_go_scheduler_to_switch_off() -> None:
    _, _, moving = README.read_text("utf-8").partition("### Moving over")
    for service in SERVICES:
        # webhook-delivery takes the place of no scheduler.
        switches = [
            f"`{scheduler.enabled.name}`"
            for scheduler in service.schedulers
            if scheduler.enabled.default == "true"
        ]
        assert f"| {service.name} | {', '.join(switches)} |" in moving


def test_the_example_names_every_setting_once_and_sets_none() -> None:
    example = settings_reference.example(SERVICES)
    assert dotenv_values(stream=io.StringIO(example)) == {}
    named = [line[1:].partition("=")[0] for line in example.splitlines() if _is_setting(line)]
    declared = [*config.COMMON, *(one for service in SERVICES for one in service.variables)]
    assert named == [variable.name for variable in declared]


def test_the_example_reads_the_same_to_systemd_and_to_us() -> None:
    """systemd takes what stands behind the first = as it is: quotes, blanks, comments and all."""
    settings = [
        line[1:] for line in settings_reference.example(SERVICES).splitlines() if _is_setting(line)
    ]
    as_systemd = dict(line.split("=", 1) for line in settings)
    assert dotenv_values(stream=io.StringIO("\n".join(settings))) == as_systemd


def test_what_the_example_shows_is_what_is_so_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_HOST", "localhost")
    monkeypatch.setenv("DB_USER", "toast")
    for service in SERVICES:
        loaded = config.load(service.name, service.variables)
        for variable in service.variables:
            assert loaded.written(variable) == (variable.default or "")
            assert loaded.origin(variable) == "default"


def _is_setting(line: str) -> bool:
    return line.startswith("#") and line[1:2].isupper() and "=" in line


def test_the_list_of_metrics_is_that_of_the_code() -> None:
    listed = (README.parent / "docs" / "metrics.md").read_text("utf-8")
    rows = [
        f"| `{one.name}` | {one.kind} | {one.documentation} |" for one in metrics.REGISTRY.metrics
    ]
    table = [line for line in listed.splitlines() if line.startswith("| `")]
    assert sorted(table) == sorted(rows)  # those of the services are declared in their packages
