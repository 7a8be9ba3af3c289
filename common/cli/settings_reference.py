"""`toast settings`: every setting, from its declaration.

The table of docs/settings.md and the example file.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from common import config, exit_codes
from common.cli import output
from common.cli.loading import PAGE
from common.cli.services import Services
from common.config import COMMON, Variable
from common.scheduling.service import Service

Sections = list[tuple[str, tuple[Variable[Any], ...]]]


def run(services: Services, options: argparse.Namespace) -> int:
    """Print the table or, with ``--example``, the file."""
    form = example if options.example else as_json if options.json else markdown
    output.show(form(services.every()))
    return exit_codes.FINE


def sections(services: Iterable[Service]) -> Sections:
    """The settings that all workers share, those of each service in their order, and the page's."""
    return [
        ("every worker", COMMON),
        *((f"toast-{service.name}", service.variables) for service in services),
        (f"toast-{PAGE}", config.PAGE),
    ]


def markdown(services: Sequence[Service]) -> str:
    """One table of all settings."""
    rows = [
        f"| {title} | {_names(variable)} | {_default(variable)} | {_meaning(variable)} |"
        for title, variables in sections(services)
        for variable in variables
    ]
    return "\n".join(
        ["| read by | setting | default | meaning |", "| --- | --- | --- | --- |", *rows]
    )


def as_json(services: Sequence[Service]) -> str:
    """A list of objects; ``default`` is null if the setting must be set."""
    return output.as_json(
        [
            {
                "read_by": title,
                "setting": variable.name,
                "aliases": variable.aliases,
                "expected": variable.expected,
                "default": variable.default,
                "meaning": variable.help,
                "secret": variable.secret,
            }
            for title, variables in sections(services)
            for variable in variables
        ]
    )


def example(services: Sequence[Service]) -> str:
    """An environment file with every setting commented out.

    It has no quotes, and no comment after a value: systemd reads both as part of the value.
    """
    blocks = ["# Settings of toast-workers. A setting that is commented out has the value shown."]
    for title, variables in sections(services):
        blocks.append(f"# --- {title} ---")
        blocks += [_block(variable) for variable in variables]
    return "\n\n".join(blocks) + "\n"


def _block(variable: Variable[Any]) -> str:
    line = f"#{variable.name}={variable.default or ''}"
    return f"# {_meaning(variable)}\n# ({variable.expected})\n{line}"


def _names(variable: Variable[Any]) -> str:
    return " or ".join(f"`{name}`" for name in (variable.name, *variable.aliases))


def _default(variable: Variable[Any]) -> str:
    if variable.default is None:
        return "must be set"
    return f"`{variable.default}`" if variable.default else "empty"


def _meaning(variable: Variable[Any]) -> str:
    return f"{variable.help} (secret)" if variable.secret else variable.help
