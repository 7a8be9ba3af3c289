"""The whole screen of a terminal and its keys; the terminal is restored however the block ends."""

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from common import exit_codes, signals
from common.cli import output

# The alternate screen, without a cursor; and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

# What a terminal sends for one key, or a character.
_KEY = re.compile(r"\x1b[\[O][\d;]*[A-Za-z~]|.", re.DOTALL)
_KEYBOARD = 0


class Screen:
    """What is drawn, and the keys that are pressed; made by ``full_screen``.

    ``has_keys`` is False if standard input is no terminal.
    """

    def __init__(self) -> None:
        self.has_keys = os.isatty(_KEYBOARD)
        self._modes: list[Any] | None = None
        self._drawn: Sequence[str] = ()
        self._is_to_stop = False

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, of which the last must not fill its line. Raises OutputError."""
        if lines != self._drawn:
            # Behind a full line, clearing would take its last character.
            text = "\n".join(f"{_CLEAR_LINE}{line}" for line in lines)
            output.write_raw(f"{_HOME}{text}{_CLEAR_BELOW}")
            self._drawn = lines

    def keys(self, seconds: float) -> Sequence[str]:
        """The keys that were pressed; waits at most so long for the first."""
        if self._is_to_stop:
            self._stop()
        if not select.select([_KEYBOARD] if self.has_keys else [], [], [], seconds)[0]:
            return ()
        try:
            typed = os.read(_KEYBOARD, 1024)
        except OSError:
            typed = b""
        # At the end of the terminal there are no more keys, and the next drawing fails.
        self.has_keys = bool(typed)
        return _KEY.findall(typed.decode(errors="replace"))

    def take(self) -> None:
        """Take the screen and single keys, without their echo."""
        if self.has_keys:
            self._modes = termios.tcgetattr(_KEYBOARD)
            tty.setcbreak(_KEYBOARD)
        output.write_raw(_ENTER)

    def give_back(self) -> None:
        """Leave the terminal as it was, in peace: a signal comes afterwards."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ending())
        try:
            if self._modes is not None:
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(_KEYBOARD, termios.TCSADRAIN, self._modes)
            with contextlib.suppress(output.OutputError):
                output.write_raw(_LEAVE)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def stop_soon(self, number: int, frame: object) -> None:
        """Let ``keys`` stop the process, as Ctrl-Z would."""
        self._is_to_stop = True

    def _stop(self) -> None:
        """Stop the process until SIGCONT, with the terminal given back."""
        self._is_to_stop = False
        self.give_back()
        signal.raise_signal(signal.SIGSTOP)
        self._drawn = ()
        self.take()


@contextmanager
def full_screen() -> Iterator[Screen]:
    """The screen until the block ends; a signal that would end the process ends the block first."""
    screen = Screen()
    with (
        _handled(signals.ending() - {signal.SIGINT}, _end),
        _handled(signals.not_ignored({signal.SIGTSTP}), screen.stop_soon),
    ):
        try:
            screen.take()
            yield screen
        finally:
            screen.give_back()


@contextmanager
def _handled(numbers: Iterable[int], handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _end(number: int, frame: object) -> None:
    sys.exit(exit_codes.SIGNAL + number)
