"""Sources of settings: the environment, systemd's credentials and the settings files."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common.config import suggestions
from common.config.settings_files import env_file, regular_file
from common.config.settings_files.env_file import Layer

CONFIG_DIR_VARIABLE = "TOAST_CONFIG_DIR"
# Set by systemd for a unit with LoadCredential=NAME:/path: a folder with a file NAME.
CREDENTIALS_DIR_VARIABLE = "CREDENTIALS_DIRECTORY"
# Set by tests (common/failpoints.py).
FAILPOINT_VARIABLE = "TOAST_FAILPOINT"
_CONFIG_DIR = "/etc/toast"
# Of a checkout; the folder of installed packages has no pyproject.toml.
_ROOT = Path(__file__).parents[2]

_NAME = re.compile("[A-Z][A-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Readers:
    """The names of variables, by who reads them.

    ``common`` are the settings of every worker, ``own`` those of a service; ``live`` is what else
    the live service beside its worker reads. ``others`` is what only other workers and live
    services read; None if that is not known.
    """

    common: frozenset[str]
    own: frozenset[str] = frozenset()
    live: frozenset[str] = frozenset()
    others: frozenset[str] | None = None

    @classmethod
    def of(
        cls,
        common: Iterable[str],
        own: Iterable[str],
        live: Iterable[str],
        others: Iterable[str] | None,
    ) -> Self:
        """Each name counts for the first of these readers."""
        known, beside = {*common, *own}, {*live}
        return cls(
            frozenset(known - {*own}),
            frozenset(own),
            frozenset(beside - known),
            None if others is None else frozenset({*others} - known - beside),
        )

    @property
    def settings(self) -> frozenset[str]:
        """What a worker reads, and what every program of ours does."""
        return self.common | self.own | {CONFIG_DIR_VARIABLE, FAILPOINT_VARIABLE}

    @property
    def here(self) -> frozenset[str]:
        """What the worker or the live service beside it reads."""
        return self.settings | self.live

    def prefixes(self, more: Collection[str] = ()) -> set[str]:
        """The first words of the names that only this service has, and of ``more`` names; but DB_
        and the like are not only ours."""
        words = {suggestions.first_word(name) for name in (*self.own, *more)}
        return words - {"", *map(suggestions.first_word, self.common)} | {"TOAST"}


def read_layers(
    service: str, environment: Mapping[str, str], names: Collection[str]
) -> tuple[list[Layer], list[str]]:
    """The environment, credentials and files, highest first, and their faults.

    Only `names` are read from credentials.
    """
    chosen = environment.get(CONFIG_DIR_VARIABLE)
    faults = []
    if chosen and not Path(chosen).is_dir():
        faults.append(f"{CONFIG_DIR_VARIABLE} is {chosen!r}; expected the path of a folder")
    remarks = tuple((None, text) for text in _ignored(environment))
    # UTF-8 as in files, whatever the locale is.
    values = {name: _utf8(value) for name, value in environment.items()}
    layers = [Layer("environment", values, remarks=remarks)]
    credentials = environment.get(CREDENTIALS_DIR_VARIABLE)
    if credentials:
        layers.append(_read_credentials(Path(credentials), names))
    layers += map(env_file.read, files(service, environment))
    return layers, faults + [fault for layer in layers for fault in layer.faults]


def files(service: str, environment: Mapping[str, str]) -> list[Path]:
    """The settings files that count, highest first.

    `.env` is one in the root of a checkout, if nothing is installed. In another folder it would
    let whoever owns the folder choose the server that gets the password.
    """
    folder = Path(environment.get(CONFIG_DIR_VARIABLE) or _CONFIG_DIR)
    shared = folder / "toast.env"
    is_checkout = (_ROOT / "pyproject.toml").is_file() and not os.path.lexists(shared)
    return [*([_ROOT / ".env"] if is_checkout else []), folder / f"{service}.env", shared]


def values_of(layers: Iterable[Layer], names: Collection[str]) -> tuple[str, ...]:
    """Every value of these variables in any layer, used or not."""
    return tuple(value for layer in layers for name, value in layer.values.items() if name in names)


def warnings(service: str, layers: Iterable[Layer], readers: Readers) -> tuple[str, ...]:
    """One line for each thing that is ignored, or read differently elsewhere; without values."""
    known = {None, *readers.settings}
    remarks = (text for layer in layers for name, text in layer.remarks if name in known)
    return (*(text for layer in layers for text in _unread(service, layer, readers)), *remarks)


def _unread(service: str, layer: Layer, readers: Readers) -> Iterator[str]:
    """The names that nothing reads, as far as their readers are known."""
    if layer.is_settings_file and readers.others is not None:
        yield from _unread_in_file(service, layer, readers, readers.others)
        return
    # Among variables of any program, only a name like those of this service is meant for it.
    begin = readers.prefixes()
    if readers.own:
        begin.add(service.upper())
    read = readers.here | (readers.others or frozenset())
    for name in _names(layer, without=read):
        meant = suggestions.meant(name, readers.here, begin)
        if meant is not None:
            yield _not_a_setting(name, layer, meant)


def _unread_in_file(
    service: str, layer: Layer, readers: Readers, others: frozenset[str]
) -> Iterator[str]:
    """In a settings file, whatever no worker and no live service reads."""
    known, begin = readers.here | others, readers.prefixes(readers.live | others)
    nobodys = []
    for name in _names(layer, without=known):
        meant = suggestions.meant(name, known, begin, loosely=True)
        if meant is None:
            nobodys.append(name)
        else:
            yield _not_a_setting(name, layer, meant)
    if nobodys:
        yield f"no worker and no live service reads {', '.join(nobodys)} in {layer.place}"
    elsewhere = [name for name in layer.values if name in others]
    if elsewhere and layer.path.name == f"{service}.env":
        yield f"only other services read {', '.join(elsewhere)}, not from {layer.place}"


def _names(layer: Layer, *, without: Collection[str]) -> list[str]:
    return [name for name in layer.values if name.isprintable() and name not in without]


def _not_a_setting(name: str, layer: Layer, meant: str) -> str:
    return f"{name} in {layer.place} is not a setting{suggestions.did_you_mean(meant)}"


def _ignored(environment: Mapping[str, str]) -> Iterator[str]:
    if names := ", ".join(libpq_variables(environment)):
        yield f"{names} in the environment: only the DB_ settings lead to PostgreSQL"
    highest = files("toast", environment)[0]
    found = [path for path in (Path(".env"), _ROOT / ".env") if os.path.lexists(path)]
    for folder in dict.fromkeys(os.path.realpath(path.parent) for path in found):
        path = f"{folder}/.env"
        if path != f"{os.path.realpath(highest.parent)}/{highest.name}":
            shown = path if path.isprintable() else ascii(path)
            yield f"{shown} is not read; settings are read from {highest}"


def _utf8(value: str) -> str:
    return os.fsencode(value).decode("utf-8", "surrogateescape")


def libpq_variables(environment: Mapping[str, str]) -> list[str]:
    """The variables of PostgreSQL's client library; all their names begin with PG."""
    return sorted(filter(re.compile("PG[A-Z]+").fullmatch, environment))


def _read_credentials(directory: Path, names: Collection[str]) -> Layer:
    """Read a folder with one file per setting; one line end at the end is dropped.

    Another file, such as a key that a setting points to, is left alone; a name like a setting's
    counts as an empty one, for the warning.
    """
    values, faults = {}, []
    try:
        paths = sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
    except OSError as error:
        return Layer(str(directory), {}, (f"{directory} cannot be read: {error.strerror}",))
    for path in paths:
        values[path.name] = ""
        if path.name in names:
            try:
                values[path.name] = regular_file.read(path)[0].decode().removesuffix("\n")
            except OSError as error:
                faults.append(f"{path} cannot be read: {error.strerror}")
            except UnicodeDecodeError:
                faults.append(f"{path} is not UTF-8 text")
    return Layer(str(directory), values, tuple(faults))
