"""Reads files that may be anything: a pipe, a device, or without end."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# A file of all settings with their descriptions has a tenth of it.
_MOST_BYTES = 128 * 1024


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """Open a regular file to read it. Raises OSError for another kind of file; never waits."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        yield file


def read(path: Path) -> tuple[bytes, os.stat_result]:
    """The content and the status of a regular file of at most 128 KiB. Raises OSError."""
    with opened(path) as file:
        content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise OSError(errno.EFBIG, "it has more than 128 KiB", str(path))
        return content, os.fstat(file.fileno())


def is_path(text: str) -> bool:
    """True if it is an absolute path below a folder of this machine."""
    begin = re.match("/[^/\0]+(?=/)", text)
    return begin is not None and os.path.isdir(begin[0])


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
