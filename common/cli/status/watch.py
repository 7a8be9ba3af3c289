"""`toast status --watch`: the status on the whole screen, kept current and scrolled by keys."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from common.cli.status.collector import Status
from common.cli.status.full_screen import full_screen
from common.remote.thread_pool import ThreadPool

WATCH_SECONDS = 2.0
# After that a new status and a new size of the terminal are seen; a key is seen at once.
_LOOK_SECONDS = 0.2

_LEAVE = "q"
_LINES = {"j": 1, "\x1b[B": 1, "\x1bOB": 1, "k": -1, "\x1b[A": -1, "\x1bOA": -1}
_PAGES = {"\x1b[6~": 1, "\x1b[5~": -1}


def watch(collect: Callable[[], Status], text: Callable[[Status, int], str]) -> None:
    """Show the status on the terminal until q or Ctrl-C; ``text`` gets the columns, too.

    Another thread collects: a database that does not answer must not keep the keys waiting.
    """
    with (
        suppress(KeyboardInterrupt),
        full_screen() as screen,
        ThreadPool[object, Status](lambda _: collect(), 1, "status") as pool,
    ):
        view, found, due = View(), None, 0.0
        while not view.is_left:
            if not pool.in_flight and time.monotonic() >= due:
                pool.submit("all")
                due = time.monotonic() + WATCH_SECONDS
            for _, result in pool.finished(0.0):
                if isinstance(result, Exception):
                    raise result
                found = result
            columns, height = shutil.get_terminal_size()
            lines = text(found, columns).splitlines() if found else []
            *shown, last = view.frame(lines, height, has_keys=screen.has_keys)
            screen.draw([*shown, last[: columns - 1]])
            view.press(screen.keys(_LOOK_SECONDS))


class View:
    """The part of a text that is on the screen, above a last line of its own."""

    def __init__(self) -> None:
        self.is_left = False
        self._top = 0
        self._room = 0

    def frame(self, lines: Sequence[str], height: int, *, has_keys: bool) -> list[str]:
        """As many lines as the screen is high; the last says how many are cut."""
        self._room = height - 1
        most = max(len(lines) - self._room, 0)
        self._top = min(max(self._top, 0), most)
        cut = f"lines cut: {self._top} above, {most - self._top} below" if most else ""
        scroll = "arrow keys, PgUp, PgDn, j, k; q leaves" if cut else "q leaves"
        keys = scroll if has_keys else "Ctrl-C leaves"
        last = "; ".join(filter(None, (cut, keys)))
        return [*lines[self._top : self._top + self._room], last]

    def press(self, keys: Sequence[str]) -> None:
        """Scroll, or leave."""
        for key in keys:
            self._top += _LINES.get(key, 0) + _PAGES.get(key, 0) * self._room
            self.is_left = self.is_left or key == _LEAVE
