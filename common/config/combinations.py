"""Settings that need each other, or exclude each other."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from common.config.kinds import Variable


class Rule(NamedTuple):
    """Whether these settings must be set, or must not, and the settings that decide it."""

    settings: tuple[Variable[Any], ...]
    is_needed: bool
    beside: str


def of_key(
    values: Mapping[str, object], certificate: Variable[str], *key: Variable[str]
) -> Iterator[Rule]:
    """The rule of a client's certificate and ``key``: its file, and its password."""
    if values.get(certificate.name):
        yield Rule(key[:1], True, certificate.name)
    elif certificate.name in values:
        yield Rule(key, False, f"{certificate.name} beside it")


def broken(rules: Iterable[Rule], values: Mapping[str, object]) -> list[str]:
    """One line for each setting that is missing beside the others, or that they leave unused.

    ``values`` are the parsed values by name. A setting that could not be parsed is missing there:
    it has a fault already.
    """
    return [
        f"{setting.name} is not set; expected {setting.expected} with {rule.beside}"
        if rule.is_needed
        else f"{setting.name} is set, but not used; expected {rule.beside}"
        for rule in rules
        for setting in rule.settings
        if bool(values.get(setting.name, rule.is_needed)) != rule.is_needed
    ]
