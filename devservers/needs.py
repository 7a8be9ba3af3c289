"""What tests need of a machine and not every machine has.

Whoever starts such a program raises Unavailable where it cannot run. Nobody has to catch it:
not_tried.py skips the test, and tells at the end what is missing and how to get it.
"""

from __future__ import annotations

import shutil

# Debian has some programs in folders that are on the path of root only.
ROOTS_FOLDERS = "/usr/sbin:/sbin"


class Unavailable(Exception):
    """A test needs `what`, which cannot run here; `why` not, and `how` that can be changed."""

    def __init__(self, what: str, why: str, how: str) -> None:
        # In one line, whatever a program has said.
        super().__init__(" ".join(f"{what} ({why}): {how}".split()))


def program(name: str, *, of: str, packages: str) -> str:
    """The path of a program of `of`, which these packages of Debian bring.

    Raises Unavailable where it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path=ROOTS_FOLDERS)
    if found is None:
        raise Unavailable(of, f"no {name}", f"apt install {packages}")
    return found
