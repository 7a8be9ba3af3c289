"""The completion of `toast` in bash, zsh and fish, from its parser and the services.

An argument is completed by what its metavar names: SERVICE, SCHEDULER, TOPIC, FILE or FOLDER.
"""

import argparse
import copy
from collections.abc import Iterable, Iterator
from typing import Any

import shtab

import workers
from common.cli import arguments
from generate.services import SERVICES

_TOPICS = tuple(dict.fromkeys(topic for service in SERVICES for topic in service.topics))
_EVERY_SCHEDULER = tuple(each.name for service in SERVICES for each in service.schedulers)

# The schedulers of the service that stands before the word at the cursor; without one, all.
_SCHEDULERS = "_toast_schedulers"
_BASH = """\
{name}() {{
  local word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in
{cases}
    esac
  done
  compgen -W '{every}' -- "$1"
}}"""
_ZSH = """\
{name}() {{
  local word
  for word in ${{words[1,CURRENT-1]}}; do
    case $word in
{cases}
    esac
  done
  compadd -- {every}
}}"""
_FISH = """\
function {name}
  for word in (commandline --cut-at-cursor --current-process --tokenize)
    switch $word
{cases}
    end
  end
  string split ' ' '{every}'
end"""


def script(shell: str) -> str:
    """The file that bash, zsh or fish loads, which needs no library."""
    parser = arguments.parser(workers.SERVICES)
    for each in _parsers(parser):
        each._actions[:] = [action for one in each._actions for action in _completed(one)]
    return f"{shtab.complete(parser, shell).strip()}\n"


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """This parser, and those of its commands and their actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _parsers(each)


def _completed(action: argparse.Action) -> Iterator[Any]:
    """The action, or one for each word of its metavar, with what shtab needs."""
    words = str(action.metavar).translate(str.maketrans("", "", "[]")).split()
    for metavar in words:
        each: Any = action if len(words) == 1 else _one_of(action, metavar)
        if metavar == "SERVICE":
            each.choices = workers.SERVICES
        elif metavar == "SCHEDULER":
            each.complete = _schedulers()
        elif metavar == "TOPIC":
            each.choices = _TOPICS
        elif metavar == "FILE":
            each.complete = shtab.FILE
        elif metavar == "FOLDER":
            each.complete = shtab.DIRECTORY
        yield each


def _one_of(action: argparse.Action, metavar: str) -> argparse.Action:
    each = copy.copy(action)
    each.metavar, each.nargs = metavar, None
    return each


def _schedulers() -> dict[str, Any]:
    case = "      {}) compgen -W '{}' -- \"$1\"; return ;;"
    return {
        "bash": _SCHEDULERS,
        "zsh": _SCHEDULERS,
        "fish": f"({_SCHEDULERS})",
        "preamble": {
            "bash": _function(_BASH, case),
            "zsh": _function(_ZSH, "      {}) compadd -- {}; return ;;"),
            "fish": _function(_FISH, "      case {}; string split ' ' '{}'; return"),
        },
    }


def _function(form: str, case: str) -> str:
    cases = [
        case.format(service.name, _words(each.name for each in service.schedulers))
        for service in SERVICES
    ]
    return form.format(name=_SCHEDULERS, cases="\n".join(cases), every=_words(_EVERY_SCHEDULER))


def _words(names: Iterable[str]) -> str:
    return " ".join(names)
