"""Loads settings.

A setting is declared once, as a `Variable`. `load` reads it from these sources, lowest first: its
default, `/etc/toast/toast.env`, `/etc/toast/<service>.env`, `.env` in the root of a checkout
(development), systemd's credentials, the process environment. An empty value counts as not set.
An invalid value never falls back to the default: `load` reports all faults at once. Only where all
schedulers that read it are switched off, it is a warning.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from common.config import sources
from common.config.declared import kafka, page, passes, postgres, reporting
from common.config.declared.endpoint import METRICS_BIND, METRICS_HOSTS
from common.config.kinds import Need, Variable, names, unmet, wrong
from common.config.settings_files.env_file import Layer
from common.config.sources import Readers
from common.logging.redaction import redact

T = TypeVar("T")

_NO_SWITCHES: Mapping[str, Collection[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Found:
    value: object
    written: str
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of one service; `settings[VARIABLE]` is a value."""

    service: str
    _found: Mapping[str, _Found] = field(repr=False)
    warnings: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)

    def __getitem__(self, variable: Variable[T]) -> T:
        return cast(T, self._found[variable.name].value)

    def written(self, variable: Variable[Any]) -> str:
        """The value as it was written, for an operator; a secret is hidden."""
        written = self._found[variable.name].written
        return "(hidden)" if variable.secret and written else redact(written)

    def origin(self, variable: Variable[Any]) -> str:
        """Where the value was set: "environment", a file's path as used, or "default"."""
        return self._found[variable.name].origin

    def replaced(self, variables: Iterable[Variable[Any]], other: "Settings") -> "Settings":
        """These settings, with the values that ``other`` has for ``variables``."""
        values = {each.name: other._found[each.name] for each in variables}
        return replace(self, _found={**self._found, **values})


class _WrongValue(ValueError):
    """A setting that cannot be used, and what was written, if anything."""

    def __init__(self, fault: str, written: str = "", origin: str = "default") -> None:
        super().__init__(fault)
        self._written, self._origin = written, origin

    def instead(self, variable: Variable[Any]) -> _Found:
        """The default, which is not used, beside what was written."""
        value = None if variable.default is None else variable.parse(variable.default)
        return _Found(value, self._written, self._origin)


class SettingsError(Exception):
    """Invalid settings; `faults` and `warnings` have one line for each, str() all of them."""

    def __init__(self, faults: Iterable[str], warnings: Iterable[str] = ()) -> None:
        self.faults, self.warnings = tuple(faults), tuple(warnings)
        super().__init__("\n".join((*self.faults, *self.warnings)))


COMMON: tuple[Variable[Any], ...] = (
    *postgres.POSTGRES,
    *kafka.KAFKA,
    *kafka.PUBLISHING,
    METRICS_BIND,
    METRICS_HOSTS,
    *reporting.REPORTING,
    *passes.PASSES,
)


def load(
    service: str,
    variables: Iterable[Variable[Any]],
    *,
    common: Iterable[Variable[Any]] = COMMON,
    needs: Iterable[Need] = (),
    switches: Mapping[str, Collection[str]] = _NO_SWITCHES,
    live: Iterable[str] = (),
    others: Iterable[str] | None = None,
) -> Settings:
    """Read the common settings and ``variables``. Raises SettingsError with every fault.

    ``switches`` are names: of a setting, and of the switches without which nobody reads it. While
    all of them are off, a wrong value is only a warning, and the default stands in for it. ``live``
    and ``others`` are names that others read (``Readers``): names that nothing reads are warnings.
    """
    own = tuple(variables)
    declared = {variable.name: variable for variable in (*common, *own)}
    every = (*COMMON, *declared.values())
    known = names(every)
    layers, faults = sources.read_layers(service, os.environ, known)
    warnings = sources.warnings(service, layers, Readers.of(known, names(own), live, others))
    secrets = sources.values_of(layers, names(each for each in every if each.secret))
    found, wrong_values = _find_all(declared, layers, secrets)
    values = {name: each.value for name, each in found.items()}
    for name, fault in wrong_values.items():
        if off := _all_off(switches.get(name, ()), values):
            found[name] = fault.instead(declared[name])
            warnings += (f"{fault}; not used while {off}",)
        else:
            faults.append(str(fault))
    faults += unmet(needs, values)
    for settings in (postgres, kafka, page):
        faults += settings.combination_faults(values)
    if faults:
        raise SettingsError(faults, warnings)
    warnings += _cautions(declared.values(), found)
    used = (str(found[name].value) for name, variable in declared.items() if variable.secret)
    return Settings(service, found, warnings, tuple(filter(None, used)))


def as_written(service: str, variables: Iterable[Variable[Any]]) -> Settings:
    """These settings unchecked, to be shown: only ``written``, ``origin`` and ``secrets`` have a
    meaning."""
    unchecked = {
        each.name: replace(each, parse=str, default=each.default or "") for each in variables
    }
    layers, _ = sources.read_layers(service, os.environ, names(unchecked.values()))
    secrets = sources.values_of(layers, names(each for each in unchecked.values() if each.secret))
    found, unclear = _find_all(unchecked, layers, secrets)
    instead = {name: fault.instead(unchecked[name]) for name, fault in unclear.items()}
    return Settings(service, {**found, **instead}, (), secrets)


def _cautions(variables: Iterable[Variable[Any]], found: Mapping[str, _Found]) -> tuple[str, ...]:
    return tuple(
        f"{each.name} is set: {each.caution}"
        for each in variables
        if each.caution and found[each.name].written
    )


def files(service: str) -> list[Path]:
    """The settings files that count for this service, highest first, whether there or not."""
    return sources.files(service, os.environ)


def _all_off(switches: Collection[str], values: Mapping[str, object]) -> str:
    """These switches for a message, if there are some and all are off, else ""."""
    is_off = switches and all(values.get(name) is False for name in switches)
    return " and ".join(f"{name} is false" for name in switches) if is_off else ""


def _find_all(
    declared: Mapping[str, Variable[Any]], layers: Sequence[Layer], secrets: Collection[str]
) -> tuple[dict[str, _Found], dict[str, _WrongValue]]:
    found: dict[str, _Found] = {}
    wrong_values: dict[str, _WrongValue] = {}
    for name, variable in declared.items():
        try:
            found[name] = _find(variable, layers, secrets)
        except _WrongValue as fault:
            wrong_values[name] = fault
    return found, wrong_values


def _find(variable: Variable[Any], layers: Iterable[Layer], secrets: Iterable[str]) -> _Found:
    """Take the highest layer that sets the variable, under its name or an alias."""
    for layer in layers:
        given = {name: layer.values[name] for name in names([variable]) if layer.values.get(name)}
        if len(set(given.values())) > 1:
            both = " and ".join(given)
            raise _WrongValue(f"{both} in {layer.place} differ; expected only one")
        for name, value in given.items():
            try:
                return _Found(variable.parse(value), value, layer.origin)
            except ValueError as reason:
                fault = f"{name} in {layer.place} is {wrong(variable, value, reason, secrets)}"
                raise _WrongValue(fault, value, layer.origin) from reason
    if variable.default is None:
        raise _WrongValue(
            f"{variable.name} is not set; expected {variable.expected} ({variable.help})"
        )
    return _Found(variable.parse(variable.default), variable.default, "default")
