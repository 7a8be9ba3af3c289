"""From the variables of a live service to the settings of its worker."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.cli.takeover.live_file import Given
from common.config import COMMON, DB_HOST, KAFKA_BROKERS, Variable, go_syntax, sources
from common.config.kinds import names, wrong
from common.scheduling.scheduler import Service


@dataclass(frozen=True, slots=True)
class Carried:
    """One setting of a worker: its value, where that is from, and what to know about it.

    ``is_usable`` is False if the worker would refuse the value, or if it is not known.
    """

    variable: Variable[Any]
    value: str
    origin: str
    notes: tuple[str, ...] = ()
    is_usable: bool = True


@dataclass(frozen=True, slots=True)
class Translation:
    """The settings of one worker, and what is to be said of variables that are none.

    ``unread`` has a line about each that looks like a setting; ``others`` are names.
    """

    service: Service
    carried: Sequence[Carried]
    unread: Mapping[str, str]
    others: Sequence[str]


def translate(
    service: Service, given: Iterable[Given], hosts: Mapping[str, str], known: Container[str]
) -> Translation:
    """Translate the variables of a live service; the later of two with one name counts.

    ``known`` are the names of all settings of all services.
    """
    by_name = {each.name: each for each in given}
    variables = (*COMMON, *service.variables)
    secrets = _secrets(variables, by_name)
    carried = [_carry(service, variable, by_name, hosts, secrets) for variable in variables]
    kept = [each for each in carried if each]
    unread, others = _rest(service, variables, by_name, known, kept)
    return Translation(service, kept, unread, others)


def _secrets(variables: Iterable[Variable[Any]], by_name: Mapping[str, Given]) -> list[str]:
    secret = names(variable for variable in variables if variable.secret)
    return [by_name[name].value for name in secret if name in by_name]


def _carry(
    service: Service,
    variable: Variable[Any],
    by_name: Mapping[str, Given],
    hosts: Mapping[str, str],
    secrets: Sequence[str],
) -> Carried | None:
    """The setting, if the live service works with another value than our default."""
    read = service.live.names_of(variable)
    given = [by_name[name] for name in read if name in by_name]
    found = next((each for each in given if each.value or each.is_open), None)
    if found is None:
        return _default(service, variable)
    if not found.value:
        return Carried(variable, "", found.origin, found.doubts, is_usable=False)
    notes = (
        *found.doubts,
        *_unreachable(variable, found.value, hosts),
        *_switched_off(service, variable, found.value),
    )
    if not service.live.can_read(variable, found.value):
        return _ignored(service, variable, found, notes, secrets)
    try:
        variable.parse(found.value)
    except ValueError as reason:
        fault = f"{found.name} is {wrong(variable, found.value, reason, secrets)}"
        return Carried(variable, found.value, found.origin, (*notes, fault), is_usable=False)
    return Carried(variable, found.value, found.origin, notes, is_usable=not found.is_open)


def _default(service: Service, variable: Variable[Any]) -> Carried | None:
    value = service.live.default(variable)
    if value is None or value == variable.default:
        return None
    ours = f" (the workers': {variable.default})" if variable.default else ""
    return Carried(variable, value, f"default of the live service{ours}")


def _ignored(
    service: Service,
    variable: Variable[Any],
    found: Given,
    notes: Sequence[str],
    secrets: Sequence[str],
) -> Carried:
    """What the live service takes instead of a text that it cannot read."""
    reason = ValueError("the live service cannot read it, and takes its default")
    fault = f"{found.name} is {wrong(variable, found.value, reason, secrets)}"
    value = service.live.default(variable) or ""
    return Carried(variable, value, found.origin, (*notes, fault), is_usable=bool(value))


def _unreachable(variable: Variable[Any], value: str, hosts: Mapping[str, str]) -> list[str]:
    """A note for each server that has this name only among the containers."""
    if variable not in (DB_HOST, KAFKA_BROKERS):
        return []
    every = dict.fromkeys(item.strip().partition(":")[0] for item in value.split(","))
    return [
        f"{host} is a name among the containers only: write where this machine reaches it "
        f"(published ports: {hosts[host] or 'none'})"
        for host in every
        if host in hosts
    ]


def _switched_off(service: Service, variable: Variable[Any], value: str) -> list[str]:
    """A note if a scheduler of the live service is off: perhaps only since it is ours."""
    switches = {scheduler.enabled for scheduler in service.schedulers}
    is_off = variable in switches and value in go_syntax.FALSE
    return ["off in the live service, so off here too; true if the worker shall do it"] * is_off


def _rest(
    service: Service,
    variables: Sequence[Variable[Any]],
    by_name: Mapping[str, Given],
    known: Container[str],
    kept: Sequence[Carried],
) -> tuple[dict[str, str], list[str]]:
    """What to say of the names that the live service does not read, and all other names."""
    unread, others = dict[str, str](), list[str]()
    own, misread = names(variables), service.live.unread(variables)
    values = {each.variable: each.value for each in kept}
    works_with = {
        name: values.get(each) or service.live.default(each)
        for each in variables
        if not each.secret
        for name in service.live.names_of(each)
    }
    for name, given in by_name.items():
        meant = misread.get(name)
        if meant is None and name not in known:
            meant = sources.resembled(name, own)
        if meant is not None:
            value = works_with.get(meant)
            took = f" It takes {meant}={value}." if value else ""
            text = f"the live service does not read it{sources.did_you_mean(meant)}{took}"
            unread[name] = f"{name} ({given.origin}): {text}"
        elif name not in known:
            others.append(name)
    return unread, others
