"""Completion and the manual page of `toast`, as the shells and man load them from their files."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import workers
from common.cli import arguments
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE
from devservers.needs import program

FILES = ROOT / "deploy" / "share"

# What `"$@"` and a word at the cursor complete to.
BASH = """
source "$0"; COMP_WORDS=(toast "$@"); COMP_CWORD=$#; _shtab_toast; printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "source $argv[1]; complete -C (string join -- ' ' toast $argv[2..]) | cut -f 1"


def in_bash(*words: str) -> set[str]:
    return printed(program("bash", of="bash", packages="bash"), "-c", BASH, *given("bash", words))


def in_fish(*words: str) -> set[str]:
    fish = program("fish", of="fish", packages="fish")
    return printed(fish, "--no-config", "-c", FISH, *given("fish", words))


def given(shell: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return str(FILES / f"toast.{shell}"), *words


def printed(*command: str | Path) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("once ", set(workers.SERVICES)),
        ("once link ", {"link-expiration"}),
        ("runs twitchbot ", {"message-cleanup", "stream-closer"}),
        ("takeover twitchbot st", {"stream-closer"}),
        ("rows retry --service blog --scheduler ", {"post-publisher"}),
        ("rows --scheduler st", {"stock-level", "stream-closer"}),
        ("outbox drop --topic link", {"link.expired"}),
        ("outbox ", {"list", "show", "retry", "drop"}),
    ],
)
@pytest.mark.parametrize("complete", [in_bash, in_fish])
def test_the_next_word_is_offered(
    line: str, expected: set[str], complete: Callable[..., set[str]]
) -> None:
    assert complete(*line.split(" ")) == expected


def test_zsh_completes_a_scheduler(tmp_path: Path) -> None:
    """At a terminal: it completes nowhere else."""
    zsh = program("zsh", of="zsh", packages="zsh")
    (tmp_path / "_toast").symlink_to(FILES / "toast.zsh")
    (tmp_path / ".zshrc").write_text(
        f"fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -d {tmp_path}/dump\n"
        "toast() echo completed to $*\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execve(zsh, ["zsh", "-i"], {**os.environ, "ZDOTDIR": str(tmp_path), "TERM": "xterm"})
    try:
        read_until(terminal, "\x1b[?2004h")  # it reads a line now
        os.write(terminal, b"toast once link link-e")
        read_until(terminal, "link-e")
        os.write(terminal, b"\t")
        read_until(terminal, "xpiration")
        os.write(terminal, b"\n")
        read_until(terminal, "completed to once link link-expiration")
        os.write(terminal, b"exit\n")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def read_until(terminal: int, text: str) -> None:
    seen, deadline = "", time.monotonic() + PATIENCE
    while text not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536).decode()


def test_man_shows_every_command_and_has_no_complaint() -> None:
    man = program("man", of="man", packages="man-db groff")
    shown = subprocess.run(
        [man, "--warnings", "--local-file", FILES / "toast.1"],
        env={**os.environ, "MANWIDTH": "80", "MANPAGER": "cat", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert shown.stderr == ""
    for title in ("EXIT STATUS", "FILES", *commands()):
        assert f"\n   {title}\n" in shown.stdout or f"\n{title}\n" in shown.stdout, title
    assert "/etc/toast/toast.env" in shown.stdout


def commands() -> list[str]:
    """`toast list` and so on."""
    [usage] = arguments.parser(workers.SERVICES)._get_positional_actions()
    return [f"toast {name}" for name in usage.choices or ()]
