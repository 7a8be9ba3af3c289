"""The settings files of the workers, written from those of the live services.

Secrets are only in files, which only their owner may read; never in what is printed.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common.cli.output import printable
from common.cli.takeover.translation import Carried, Translation
from common.config import COMMON
from common.config.settings_files import spellings
from common.errors import PassError

_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One file: its name in the settings folder, what its head says, and its settings."""

    name: str
    head: Sequence[str]
    settings: Sequence[Carried]

    def text(self, *, secrets: bool) -> str:
        """The file's text, with or without the values of secrets."""
        head = [_comment(line) for line in self.head]
        blocks = ["\n".join(_block(each, secrets)) for each in self.settings]
        return "\n\n".join(["\n".join(head), *blocks])


def files(translations: Sequence[Translation], path: str) -> list[SettingsFile]:
    """`toast.env` with what all these services share, and a file for each service."""
    shared = _shared(translations)
    own = [
        SettingsFile(
            f"{each.service.name}.env",
            list(_head(each, path)),
            [setting for setting in each.carried if setting.variable.name not in shared],
        )
        for each in translations
    ]
    if not shared:
        return own
    head = f"Settings of all {len(translations)} workers, from {path}."
    return [SettingsFile("toast.env", [head], list(_merged(translations, shared))), *own]


def write(several: Sequence[SettingsFile], folder: Path) -> list[str]:
    """Write the files with their secrets; returns their paths.

    Raises PassError, before anything is written, if one of them exists.
    """
    paths = [folder / each.name for each in several]
    for path in paths:
        if os.path.lexists(path):
            raise PassError(f"{path} exists; nothing was written: name another folder, and compare")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for each, path in zip(several, paths, strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{each.text(secrets=True)}\n")
    except OSError as error:
        raise PassError(f"{error.filename} cannot be written: {error.strerror}") from None
    return [str(path) for path in paths]


def _shared(translations: Sequence[Translation]) -> set[str]:
    """The settings of every worker that are the same in all of these, if they are several."""
    if len(translations) < 2:
        return set()
    usable = [
        {(each.variable.name, each.value) for each in translation.carried if each.is_usable}
        for translation in translations
    ]
    common = {variable.name for variable in COMMON}
    return {name for name, _ in set.intersection(*usable) if name in common}


def _merged(translations: Sequence[Translation], shared: set[str]) -> Iterator[Carried]:
    """The shared settings, with all that is said of each in any service."""
    for setting in translations[0].carried:
        name = setting.variable.name
        if name in shared:
            alike = [s for each in translations for s in each.carried if s.variable.name == name]
            origins = dict.fromkeys(each.origin for each in alike)
            notes = dict.fromkeys(note for each in alike for note in each.notes)
            yield replace(setting, origin="; ".join(origins), notes=tuple(notes))


def _head(translation: Translation, path: str) -> Iterator[str]:
    yield f"Settings of toast-{translation.service.name}, from {path}."
    yield from translation.unread.values()
    if translation.live:
        yield f"Only the live service reads {', '.join(translation.live)}."
    if translation.others:
        yield f"No settings of the live service or the worker: {', '.join(translation.others)}."
    if translation.service.live.stays_on:
        yield f"The live service: {translation.service.live.stays_on}."


def _block(setting: Carried, secrets: bool) -> Iterator[str]:
    name = setting.variable.name
    yield _comment(setting.origin)
    yield from map(_comment, setting.notes)
    if not setting.is_usable:
        yield f"#{name}="
    elif setting.variable.secret and not secrets:
        yield f"#{name}=(hidden; --output FOLDER writes it)"
    else:
        statement = spellings.written(name, setting.value)
        if difference := spellings.difference(statement, setting.value):
            yield _comment(difference)
        yield statement


def _comment(text: str) -> str:
    return f"# {printable(text, keep='')}"
