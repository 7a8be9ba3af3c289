"""The example of a settings file, which systemd and the workers read alike."""

import io

import pytest
from dotenv import dotenv_values

import workers
from common import config
from common.cli import settings_reference

SERVICES = [workers.load(name) for name in workers.SERVICES]


def test_the_example_names_every_setting_once_and_sets_none() -> None:
    example = settings_reference.example(SERVICES)
    assert dotenv_values(stream=io.StringIO(example)) == {}
    named = [line[1:].partition("=")[0] for line in example.splitlines() if _is_setting(line)]
    of_services = (one for service in SERVICES for one in service.variables)
    declared = [*config.COMMON, *of_services, *config.PAGE]
    assert named == [variable.name for variable in declared]


def test_systemd_and_the_workers_read_the_example_alike() -> None:
    """systemd reads everything after the first = as the value: quotes, blanks and comments."""
    settings = [
        line[1:] for line in settings_reference.example(SERVICES).splitlines() if _is_setting(line)
    ]
    as_systemd = dict(line.split("=", 1) for line in settings)
    assert dotenv_values(stream=io.StringIO("\n".join(settings))) == as_systemd


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "localhost")
    monkeypatch.setenv("DB_USER", "toast")
    for service in SERVICES:
        loaded = config.load(service.name, service.variables)
        for variable in service.variables:
            assert loaded.written(variable) == (variable.default or "")
            assert loaded.origin(variable) == "default"


def _is_setting(line: str) -> bool:
    return line.startswith("#") and line[1:2].isupper() and "=" in line
