"""From the variables of a live service to the settings of its worker."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.cli.takeover.live_file import Given
from common.config import COMMON, DB_HOST, KAFKA_BROKERS, Variable, go_syntax, suggestions
from common.config.kinds import names, wrong
from common.scheduling.service import Service


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
    """The settings of one worker, and the variables that are none.

    ``unread`` has a line about each that looks like a variable of the live service and that it
    does not read. ``live`` are the names that only the live service reads, ``others`` the names of
    which no reader is known.
    """

    service: Service
    carried: Sequence[Carried]
    unread: Mapping[str, str]
    live: Sequence[str]
    others: Sequence[str]


def translate(
    service: Service, given: Iterable[Given], hosts: Mapping[str, str], known: Container[str]
) -> Translation:
    """Translate the variables of a live service; the later of two with one name counts.

    ``hosts`` are names of servers among the containers; ``known`` is what any worker or live
    service reads.
    """
    work = _Translator(service, {each.name: each for each in given}, hosts)
    carried = [setting for variable in work.variables if (setting := work.carried(variable))]
    unread = dict(work.unread(known, carried))
    live = [name for name in work.given if name in service.live.reads]
    others = [name for name in work.given if name not in known and name not in unread]
    return Translation(service, carried, unread, live, others)


class _Translator:
    def __init__(
        self, service: Service, given: Mapping[str, Given], hosts: Mapping[str, str]
    ) -> None:
        self.variables = (*COMMON, *service.variables)
        self.given = given
        self._service, self._live = service, service.live
        self._switches = {scheduler.enabled for scheduler in service.schedulers}
        self._hosts = hosts
        secret = names(variable for variable in self.variables if variable.secret)
        self._secrets = [given[name].value for name in secret if name in given]

    def carried(self, variable: Variable[Any]) -> Carried | None:
        """The setting; None if the live service has no value, or its default and ours agree."""
        every = [self.given[name] for name in self._live.names_of(variable) if name in self.given]
        found = next((each for each in every if each.value or each.is_open), None)
        if found is None:
            return self._default(variable)
        if not found.value:
            return Carried(variable, "", found.origin, found.doubts, is_usable=False)
        value, is_usable, notes = found.value, not found.is_open, [*found.doubts]
        if not self._live.can_read(variable, value):
            text = self._wrong(variable, found, "the live service takes its default instead")
            # What the worker expects is not what the live service does.
            notes.append(text.partition("; expected ")[0])
            value = self._live.default(variable) or ""
        try:
            variable.parse(value)
        except ValueError as reason:
            notes.append(self._wrong(variable, found, str(reason)))
            is_usable = False
        notes += self._warnings(variable, value)
        return Carried(variable, value, found.origin, tuple(notes), is_usable)

    def unread(
        self, known: Container[str], carried: Iterable[Carried]
    ) -> Iterator[tuple[str, str]]:
        """The names that look like a variable of the live service, which does not read them, with
        a line about each."""
        read, misread = self._service.read, self._live.unread(self.variables)
        words = {self._service.name.upper(), *map(suggestions.first_word, read)} - {""}
        works_with = self._works_with(carried)
        for name, given in self.given.items():
            meant = misread.get(name)
            if meant is None and name not in known:
                meant = suggestions.meant(name, read, words, loosely=True)
            if meant is not None:
                value = works_with.get(meant)
                took = f" It takes {meant}={value}." if value else ""
                text = f"the live service does not read it{suggestions.did_you_mean(meant)}{took}"
                yield name, f"{name} ({given.origin}): {text}"

    def _default(self, variable: Variable[Any]) -> Carried | None:
        value = self._live.default(variable)
        if value is None or value == variable.default:
            return None
        ours = f" (the workers': {variable.default})" if variable.default else ""
        return Carried(variable, value, f"default of the live service{ours}")

    def _wrong(self, variable: Variable[Any], found: Given, reason: str) -> str:
        text = wrong(variable, found.value, ValueError(reason), self._secrets)
        return f"{found.name} is {text}"

    def _warnings(self, variable: Variable[Any], value: str) -> Iterator[str]:
        if variable in self._switches and value in go_syntax.FALSE:
            yield "off in the live service, so off here too; true if the worker shall do it"
        if variable in (DB_HOST, KAFKA_BROKERS):
            for host in dict.fromkeys(item.strip().partition(":")[0] for item in value.split(",")):
                if host in self._hosts:
                    yield (
                        f"{host} is a name among the containers only: write where this machine "
                        f"reaches it (published ports: {self._hosts[host] or 'none'})"
                    )

    def _works_with(self, carried: Iterable[Carried]) -> dict[str, str | None]:
        """The values that the live service works with, but for secrets, by each of its names."""
        values = {each.variable: each.value for each in carried}
        return {
            name: values.get(variable) or self._live.default(variable)
            for variable in self.variables
            if not variable.secret
            for name in self._live.names_of(variable)
        }
