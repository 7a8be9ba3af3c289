"""Programs that tests need and that not every machine has.

The code that starts such a program raises Unavailable if it cannot run. Tests need not catch it:
tests/support/not_tried.py skips the test, and reports at the end what is missing and how to get it.
"""

import shutil

# Debian has some programs in folders that are only on root's path.
ROOTS_FOLDERS = "/usr/sbin:/sbin"


class Unavailable(Exception):
    """`what` cannot run here; `why`, and `how` to change that."""

    def __init__(self, what: str, why: str, how: str) -> None:
        # In one line, also with a program's output.
        super().__init__(" ".join(f"{what} ({why}): {how}".split()))


def program(name: str, *, of: str, packages: str) -> str:
    """The path of a program of `of`, which is in these packages of Debian.

    Raises Unavailable if it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path=ROOTS_FOLDERS)
    if found is None:
        raise Unavailable(of, f"no {name}", f"apt install {packages}")
    return found
