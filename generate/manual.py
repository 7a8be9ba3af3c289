"""The manual page of `toast` in roff, from its parser and the tables of the documents."""

import argparse
import re
from collections.abc import Iterator, Sequence

import workers
from common.cli import arguments
from common.version import VERSION
from devservers.checkout import ROOT

_HEAD = """\
.\\" Written by `make generate`.
.TH TOAST 1 "" "toast-workers {version}" "User Commands"
.SH NAME
toast \\- {purpose}
.SH SYNOPSIS
.B toast
.I COMMAND
.RI [ ARGUMENT " ...]"
.SH DESCRIPTION
{description} Each command has
.BR \\-\\-help ."""

_SETTINGS = """\
.SH ENVIRONMENT
Settings are read from the files below and from the environment, which counts more.
.B toast list
shows each with its value and where it came from,
.B toast settings
all with their meaning.
.SH "SEE ALSO"
.BR journalctl (1),
.BR systemctl (1)"""

# Headings of the page, and where the rows below them are: the document, and the table's header.
_TABLES = {
    '"EXIT STATUS"': ("docs/operations.md", "| exit code | meaning |"),
    "FILES": ("docs/install.md", "| path | what |"),
}


def page() -> str:
    """The whole file, the same on every day."""
    parser = arguments.parser(workers.SERVICES)
    description = _text(parser.description or "")
    purpose = f"{description[0].lower()}{description[1:].rstrip('.')}"
    parts = [
        _HEAD.format(version=_text(VERSION), purpose=purpose, description=description),
        ".SH OPTIONS",
        *_described(parser, hidden=()),
        ".SH COMMANDS",
        *_commands(parser),
        *(part for title, table in _TABLES.items() for part in (f".SH {title}", *_rows(*table))),
        _SETTINGS,
    ]
    return "\n".join(parts) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A subsection for each command and for each of its actions."""
    for group in parser._actions:
        if isinstance(group, argparse._SubParsersAction):
            for command in group.choices.values():
                yield f'.SS "{_text(command.prog)}"'
                yield _synopsis(command)
                yield f".PP\n{_sentence(command.description or '')}"
                yield from _described(command, hidden=("help",))
                yield from _commands(command)


def _described(parser: argparse.ArgumentParser, hidden: Sequence[str]) -> Iterator[str]:
    """A paragraph for each option and argument; what a command's name stands for has its own."""
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.dest not in hidden and not isinstance(action, argparse._SubParsersAction):
            yield f".TP\n{_name(action)}"
            assert action.help, f"{parser.prog}: {action.dest} has no help"
            yield _sentence(formatter._expand_help(action))


def _synopsis(command: argparse.ArgumentParser) -> str:
    """The command with all that may follow it."""
    words = [f"\\fB{_text(command.prog)}\\fR"]
    group_of = {
        action: group
        for group in command._mutually_exclusive_groups
        for action in group._group_actions
    }
    for action in command._actions:
        group = group_of.get(action)
        if group is None:
            words += [] if action.dest == "help" else [_use(action)]
        elif action is group._group_actions[0]:
            choice = " | ".join(map(_name, group._group_actions))
            words.append(f"({choice})" if group.required else f"[{choice}]")
    return " ".join(words)


def _use(action: argparse.Action) -> str:
    """Its name, in brackets if it can be left out."""
    name = _name(action)
    if action.nargs == "*":
        return f"[{name} ...]"
    is_optional = action.option_strings and not action.required
    return f"[{name}]" if is_optional or action.nargs == "?" else name


def _name(action: argparse.Action) -> str:
    """Its option strings, and the placeholder of its value."""
    options = ", ".join(f"\\fB{_text(each)}\\fR" for each in action.option_strings)
    takes_value = action.nargs != 0
    value = f"\\fI{_text(str(action.metavar or action.dest))}\\fR" if takes_value else ""
    return " ".join(filter(None, (options, value)))


def _rows(document: str, header: str) -> Iterator[str]:
    """The rows of this table, as paragraphs with the first cell in front."""
    _, _, below = (ROOT / document).read_text("utf-8").partition(f"{header}\n")
    for line in below.split("\n\n")[0].splitlines()[1:]:
        first, second = re.split(r" (?<!\\)\| ", line.strip("| "), maxsplit=1)
        yield f".TP\n{_marked(first)}\n{_sentence_of(_marked(second))}"


def _marked(markdown: str) -> str:
    """Markdown in one line as roff: code is bold, of a link only its text stays."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown.replace(r"\|", "|"))
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fR", _text(plain))


def _sentence(text: str) -> str:
    return _sentence_of(_text(text))


def _sentence_of(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    # A line that begins with one of these would be a request.
    text = text if text.endswith(".") else f"{text}."
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _text(text: str) -> str:
    """The text without what roff reads as a command; a hyphen is one that can be searched for."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
