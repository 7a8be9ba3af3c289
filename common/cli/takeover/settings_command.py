"""`toast takeover --from FILE` and `toast takeover --switch-off`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import exit_codes
from common.cli import output
from common.cli.takeover import dot_env, settings_files, switch_off
from common.cli.takeover.live_file import Container, Given, LiveFile, LiveFileError
from common.cli.takeover.translation import Translation, translate
from common.config.kinds import names
from common.scheduling.service import Service

_UNLIKE = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: files to read, whether to print the switches, and where to write to.

    ``services`` are all, ``named`` those that were named; all that are in the files if none was.
    """

    services: Sequence[Service]
    named: Sequence[Service]
    paths: Sequence[Path]
    switch_off: bool = False
    folder: Path | None = None


def run(wish: Wish) -> int:
    """Print or write the settings, or the switches. Raises PassError; returns an exit code."""
    files = [_read(path) for path in wish.paths]
    found = {service.name: _containers(service, files) for service in wish.services}
    chosen = wish.named or [each for each in wish.services if found[each.name] or not files]
    if wish.switch_off:
        known = {name: several[-1].name for name, several in found.items() if several}
        output.show(switch_off.text(chosen, {name: own for name, own in known.items() if own}))
        return exit_codes.FINE
    if missing := [each.name for each in chosen if not found[each.name]]:
        seen = ", ".join(each.name for file in files for each in file.containers)
        raise LiveFileError(
            f"no service of {_paths(wish.paths)} is named like {', '.join(missing)}; it has: {seen}"
        )
    translations = _translations(wish.services, chosen, found, files)
    return _show(translations, wish)


def _read(path: Path) -> LiveFile:
    if path.suffix in (".yml", ".yaml"):
        # Imported here, because only this command needs YAML.
        from common.cli.takeover import compose_file

        return compose_file.read(path)
    return LiveFile(str(path), [Container("", dot_env.of_live_service(path))])


def _containers(service: Service, files: Iterable[LiveFile]) -> list[Container]:
    """What the files have of this live service, at most one of each file."""
    return [found for file in files if (found := _container(service, file))]


def _container(service: Service, file: LiveFile) -> Container | None:
    """The container that is named most like the service. Raises LiveFileError if several are."""
    rank = min((_unlikeness(service, each) for each in file.containers), default=_UNLIKE)
    if rank == _UNLIKE:
        return None
    several = [each for each in file.containers if _unlikeness(service, each) == rank]
    if len(several) > 1:
        several = [each for each in several if _is_live(service, each)] or several
    if len(several) > 1:
        listed = " and ".join(each.name for each in several)
        raise LiveFileError(f"{file.path}: {listed} are named like {service.name}; expected one")
    return several[0]


def _unlikeness(service: Service, container: Container) -> int:
    """0 if the container has the service's name, or is all of an `.env`."""
    name, other = service.name, container.name
    if other in ("", name):
        return 0
    if re.fullmatch(rf"{name}[-_]service", other):
        return 1
    return 2 if name in re.split("[-_.]", other) else _UNLIKE


def _is_live(service: Service, container: Container) -> bool:
    own = {*names(service.variables), "DB_HOST"}
    return any(given.name in own for given in container.given)


def _translations(
    services: Sequence[Service],
    chosen: Sequence[Service],
    found: dict[str, list[Container]],
    files: Sequence[LiveFile],
) -> list[Translation]:
    known = {name for each in services for name in each.read}
    hosts = {host: ports for file in files for host, ports in file.hosts.items()}

    def given(service: Service) -> list[Given]:
        return [each for container in found[service.name] for each in container.given]

    return [translate(service, given(service), hosts, known) for service in chosen]


def _show(translations: Sequence[Translation], wish: Wish) -> int:
    several = settings_files.files(translations, _paths(wish.paths))
    if wish.folder:
        lines = [f"written: {path}" for path in settings_files.write(several, wish.folder)]
        lines += (text for each in translations for text in each.unread.values())
        output.show("\n".join(lines))
    else:
        output.show(
            "\n\n".join(f"# --- {each.name} ---\n{each.text(secrets=False)}" for each in several)
        )
    left = [
        f"{each.name}: {one.variable.name}"
        for each in several
        for one in each.settings
        if not one.is_usable
    ]
    if left:
        output.complain(f"toast: not carried over, see the comments: {', '.join(left)}")
    return exit_codes.FAILED if left else exit_codes.FINE


def _paths(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
