"""A question to the person at the terminal."""

import sys

from common.cli import output


def is_possible() -> bool:
    """Whether there is one: input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(text: str) -> bool:
    """Ask; True only if the answer is yes. Raises OutputError."""
    output.write_raw(f"{text} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
