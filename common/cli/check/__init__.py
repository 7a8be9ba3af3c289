"""`toast check`: whether a service has all that it needs, and what to do if not.

It changes nothing in PostgreSQL and Kafka, and ignores the needs of schedulers that are off.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from common import config
from common.cli import output
from common.cli.check import page, postgres, remotes
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, Found, Report, error, ok, warning
from common.cli.check.page import Page
from common.cli.check.parallel import CheckJob, run_all
from common.cli.loading import PAGE
from common.cli.services import Services
from common.config import SettingsError
from common.logging import redaction
from common.scheduling import service_settings
from common.scheduling.service import Service


def run(services: Services, options: argparse.Namespace) -> int:
    """Check the named service or the page, or all services and the page if it is in use."""
    if options.service == PAGE:
        report = check([], page_of=services.every())
    elif options.service is None and page.is_in_use():
        report = check(services.every(), services.every(), page_of=services.every())
    else:
        report = check(services.chosen(options.service), services.every())
    output.show_report(report, as_json=options.json)
    return report.exit_code


def check(
    services: Sequence[Service], every: Sequence[Service] = (), page_of: Sequence[Service] = ()
) -> Report:
    """Check these services, each with its own settings, and the page of ``page_of``, if any.

    ``every`` service may read the settings, too.
    """
    subjects_by_name: dict[str, Callable[[], Subject]] = {
        each.name: partial(_with_settings, each, every) for each in services
    }
    if page_of:
        subjects_by_name[PAGE] = partial(page.subject, page_of)
    found: list[Found] = []
    subjects: list[Subject] = []
    for name, subject_of in subjects_by_name.items():
        try:
            subject = subject_of()
        except SettingsError as faults:
            found += ((name, finding) for finding in _faults(faults))
        else:
            redaction.register(subject.settings.secrets)
            found += ((name, finding) for finding in _settings(subject))
            subjects.append(subject)
    bad_settings = len(subjects) < len(subjects_by_name)
    found += run_all(_jobs(subjects))
    return Report([*subjects_by_name], found, bad_settings)


def _with_settings(service: Service, every: Sequence[Service]) -> Subject:
    return Subject(service, service_settings.load(service, beside=every))


def _faults(faults: SettingsError) -> Iterator[Finding]:
    yield from (error("settings", fault, "set it as expected") for fault in faults.faults)
    yield from (warning("settings", text) for text in faults.warnings)
    yield warning("settings", "nothing else is checked before they can be used")


def _settings(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    for text in settings.warnings:
        yield warning("settings", text)
    yield ok("settings", "all can be used; `toast list` shows them")
    for scheduler in subject.service.schedulers:
        if not settings[scheduler.enabled]:
            switch = f"{scheduler.enabled.name}={settings.written(scheduler.enabled)}"
            yield ok("schedulers", f"{scheduler.name} is switched off ({switch}), so not checked")


def _jobs(subjects: Sequence[Subject]) -> Iterator[CheckJob]:
    for group in _alike(subjects, config.POSTGRES):
        yield CheckJob("postgres", _names(group), partial(postgres.check, group))
    publishing = [subject for subject in subjects if subject.topics]
    if publishing:
        # Imported here so that services without topics do not load librdkafka.
        from common.cli.check import kafka

        for group in _alike(publishing, (*config.KAFKA, *config.PUBLISHING)):
            yield CheckJob("kafka", _names(group), partial(kafka.check, group))
    for subject in subjects:
        if isinstance(subject, Page):
            yield CheckJob("web", _names([subject]), partial(page.check, subject))
        for remote in subject.remotes:
            yield CheckJob(remote.name, _names([subject]), partial(remotes.check, subject, remote))


def _alike(
    subjects: Iterable[Subject], settings: Sequence[config.Variable[Any]]
) -> list[list[Subject]]:
    """Groups of subjects with equal values of these settings."""
    groups: dict[tuple[object, ...], list[Subject]] = {}
    for subject in subjects:
        values = tuple(subject.settings[variable] for variable in settings)
        groups.setdefault(values, []).append(subject)
    return list(groups.values())


def _names(subjects: Iterable[Subject]) -> list[str]:
    return [subject.name for subject in subjects]
