"""A file system of a few megabytes that can be filled, for servers whose disk becomes full."""

import errno
import os
import subprocess
from typing import Self

from devservers.child_processes import TemporaryFolder
from devservers.needs import Unavailable

BLOCK = b"\0" * 65_536


class SmallDisk:
    """A file system in memory at ``path``, which every user may write to."""

    def __init__(self, megabytes: int) -> None:
        """Raises Unavailable if this process may not mount."""
        if os.geteuid() != 0:
            raise Unavailable("a disk that becomes full", "only root can mount", "run as root")
        self._folder = TemporaryFolder("disk")
        self.path = self._folder.path / "disk"
        self.path.mkdir()
        self._folder.path.chmod(0o755)  # a server may be another user's
        options = f"size={megabytes}m,mode=0777"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self._folder.remove()
            raise Unavailable("a disk that becomes full", done.stderr, "allow root to mount")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)
        self._folder.remove()

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give back what `fill` has taken."""
        (self.path / "ballast").unlink()
