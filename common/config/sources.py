"""Sources of settings: the environment, systemd's credentials and the settings files."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from common.config import suggestions
from common.config.settings_files import env_file, regular_file
from common.config.settings_files.env_file import Layer

CONFIG_DIR_VARIABLE = "TOAST_CONFIG_DIR"
# Set by systemd for a unit with LoadCredential=NAME:/path: a folder with a file NAME.
CREDENTIALS_DIR_VARIABLE = "CREDENTIALS_DIRECTORY"
_CONFIG_DIR = "/etc/toast"
# Of a checkout; the folder of installed packages has no pyproject.toml.
_ROOT = Path(__file__).parents[2]

_NAME = re.compile("[A-Z][A-Z0-9_]*")
# Shorter names are two slips away from too many unrelated ones.
_SHORTEST_RESEMBLED = 6
_MOST_SLIPS = 2


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


def warnings(service: str, layers: Iterable[Layer], names: Collection[str]) -> tuple[str, ...]:
    """One line for each thing that is ignored, or read differently elsewhere; without values."""
    known = {None, *names}
    remarks = (text for layer in layers for name, text in layer.remarks if name in known)
    return (*_resemblances(service, layers, names), *remarks)


def _resemblances(service: str, layers: Iterable[Layer], names: Collection[str]) -> Iterator[str]:
    for layer in layers:
        for name in filter(str.isprintable, layer.values):
            meant = resembled(name, names)
            if meant is None and name not in names and _is_of(service, name):
                meant = ""
            if meant is not None:
                yield f"{name} in {layer.place} is not a setting{did_you_mean(meant)}"


def _is_of(service: str, name: str) -> bool:
    """Whether the name begins with that of the service; commands without one call it toast."""
    return service != "toast" and name.startswith(f"{service.upper()}_")


def resembled(name: str, names: Collection[str]) -> str | None:
    """The setting that an unknown name was probably meant for, "" if that is unclear.

    None if the name is known, or none of ours: it neither resembles one of these names nor begins
    with two words of one.
    """
    known = {CONFIG_DIR_VARIABLE, *names}
    if name in known:
        return None
    long = [each for each in known if len(each) >= _SHORTEST_RESEMBLED]
    meant = suggestions.nearest(name, long, slips=_MOST_SLIPS)
    if not meant and _beginning(name) in {_beginning(each) for each in known} - {""}:
        return suggestions.by_words(name, known) or ""
    return meant


def did_you_mean(meant: str) -> str:
    """The question for the end of a message, if ``meant`` is not empty."""
    return f"; did you mean {meant}?" if meant else ""


def _beginning(name: str) -> str:
    """The first two words of a name of at least three, else ""."""
    words = name.split("_")
    return "_".join(words[:2]) if len(words) > 2 else ""


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
