"""Options that several commands have."""

import argparse
from collections.abc import Sequence

LINES = "print all, each as a JSON object in a line"


def add_list_options(command: argparse.ArgumentParser, filters: Sequence[str]) -> None:
    add_filters(command, filters)
    add_json(command, LINES)


_FILTERS = {
    "service": "only those of this service, in the database of its settings",
    "scheduler": "only those of this scheduler",
    "topic": "only those of this topic",
    "reason": "only those whose reason has this text",
}


def add_filters(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        # Without a default, which would replace an option before the action of a command.
        command.add_argument(
            f"--{name}", metavar=name.upper(), default=argparse.SUPPRESS, help=_FILTERS[name]
        )


def add_since(command: argparse.ArgumentParser) -> None:
    command.add_argument("--since", metavar="DURATION", help="only those of the last 7d, 12h, ...")


def add_json(command: argparse._ActionsContainer, help: str = "print one JSON object") -> None:
    # Without a default, which would replace a --json before the action of a command.
    command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=help)
