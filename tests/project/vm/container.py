"""A Debian with a real systemd, booted in a container of systemd-nspawn on this machine.

It is made by debootstrap from the Debian mirror of this machine's own apt, and kept in .cache/.
Every boot works on a layer above it that goes away in the end. The container shares the network
of the machine, so a server on its loopback is there inside as well; pip inside takes its
packages from a folder that this machine's pip has filled.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from devservers.checkout import CACHE, ROOT
from devservers.child_processes import TemporaryFolder, bound_to_parent, poll_until
from devservers.needs import Unavailable, program

FOLDER = CACHE / "vm"

WHAT = "a booted Debian"
SUITE = "bookworm"
PYTHON = "3.11"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "make", "procps", "python3", "python3-venv")

# Where the container has the checkout and the wheels.
CHECKOUT = "/srv/toast-workers"
WHEELS = "/srv/wheels"

BOOT_SECONDS = 90.0
SWEEP_SECONDS = 10.0
COMMAND_SECONDS = 300.0

PIP_CONFIGURATION = f"""\
[global]
no-index = true
find-links = {WHEELS}
disable-pip-version-check = true
"""

# In a mount namespace of its own, so that this machine sees none of it. systemd wants the unified
# cgroups, which some machines do not show at their usual place, and BPF for IPAddressDeny=.
BOOT = """
set -eu
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$NAME"
echo $$ > "/sys/fs/cgroup/$NAME/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$LAYER/upper,workdir=$LAYER/work" "$LAYER/root"
exec systemd-nspawn --quiet --boot --directory="$LAYER/root" --machine="$NAME" \
    --register=no --keep-unit --link-journal=no --resolv-conf=off --timezone=off \
    --capability=CAP_BPF,CAP_NET_ADMIN --system-call-filter=bpf \
    --bind-ro="$CHECKOUT:/srv/toast-workers" --bind-ro="$WHEELS:/srv/wheels" --console=pipe
"""
OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")
# The kernel ends a namespace of processes with its first: nothing outlives `unshare`.
OWN_PROCESSES = ("--pid", "--fork", "--kill-child", "--mount-proc")
# What systemd-nspawn ends with when the container wants to boot again.
REBOOT = 133
LOGIN = (
    *("env", "--ignore-environment", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    *("HOME=/root", "LANG=C.UTF-8", "sh", "-c"),
)

# Removes its cgroups, wherever this machine has the unified hierarchy.
SWEEP = """
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
[ ! -d "/sys/fs/cgroup/$NAME" ] || find "/sys/fs/cgroup/$NAME" -depth -type d -exec rmdir {} +
"""


class Container:
    """One booted Debian, from entering the `with` block until leaving it."""

    def __init__(self) -> None:
        """Make what is missing in .cache/. Raises Unavailable."""
        _require_machine()
        self._tree = _tree()
        self._wheels = _wheels()
        self._process: subprocess.Popen[bytes] | None = None
        self._name = f"toast-vm-{os.getpid()}"

    def __enter__(self) -> Self:
        self._folder = TemporaryFolder("vm")
        self._layer = self._folder.path
        for folder in ("upper/etc", "work", "root"):
            (self._layer / folder).mkdir(parents=True)
        (self._layer / "upper/etc/pip.conf").write_text(PIP_CONFIGURATION)
        try:
            self._boot()
        except Unavailable:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        poll_until(self._sweep, SWEEP_SECONDS)
        self._folder.remove()

    def run(self, command: str, *, seconds: float = COMMAND_SECONDS) -> str:
        """What a shell command of the container's root has printed, both streams.

        AssertionError if it fails.
        """
        finished = self.attempt(command, seconds=seconds)
        assert finished.returncode == 0, f"{command}: {finished.returncode}\n{finished.stdout}"
        return finished.stdout.strip()

    def attempt(
        self, command: str, *, seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as the container's root; its exit code may be any."""
        leader = self.leader()
        assert leader, "the container does not run"
        return subprocess.run(
            ["nsenter", "--target", str(leader), "--all", "--root", "--wd", *LOGIN, command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )

    def write(self, path: str, text: str) -> None:
        """Make this the content of a file; owner and mode stay if it is there."""
        leader = self.leader()
        assert leader, "the container does not run"
        Path(f"/proc/{leader}/root{path}").write_text(text)

    def booted(self) -> bool:
        """Whether its systemd has started everything."""
        if not self.leader():
            return False
        return self.attempt("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def reboot(self) -> None:
        """Reboot as an administrator does."""
        assert self._process is not None
        self.attempt("systemctl reboot")
        assert self._process.wait(BOOT_SECONDS) == REBOOT
        assert poll_until(self._sweep, SWEEP_SECONDS)
        self._boot()

    def leader(self) -> int:
        """The process on this machine that is the container's first; 0 while there is none."""
        assert self._process is not None
        # unshare, systemd-nspawn, systemd.
        nspawn = _children(self._process.pid)
        return next((pid for pid in _children(*nspawn) if _is_systemd(pid)), 0)

    def _boot(self) -> None:
        with (self._layer / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [*OWN_MOUNTS, *OWN_PROCESSES, "sh", "-c", BOOT],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=bound_to_parent(signal.SIGKILL),
            )
        over = self._process.poll
        if not poll_until(lambda: over() is not None or self.booted(), BOOT_SECONDS, 0.2) or over():
            output = (self._layer / "console").read_text(errors="replace")[-2000:]
            why = f"it did not boot in systemd-nspawn: {output}"
            raise Unavailable(WHAT, why, "try it on a virtual machine")

    def _sweep(self) -> bool:
        """Remove what is left of the container's cgroups; False while processes end in them."""
        swept = subprocess.run(
            [*OWN_MOUNTS, "sh", "-c", SWEEP],
            env=self._environment(),
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return swept.returncode == 0

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "NAME": self._name,
            "TREE": str(self._tree),
            "LAYER": str(self._layer),
            "CHECKOUT": str(ROOT),
            "WHEELS": str(self._wheels),
        }


def _children(*pids: int) -> list[int]:
    found: list[int] = []
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def _is_systemd(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text() == "systemd\n"
    return False


def _require_machine() -> None:
    if os.geteuid() != 0:
        raise Unavailable(WHAT, "only root can run a container", "sudo make test-vm")
    for name in ("systemd-nspawn", "debootstrap", "unshare", "nsenter"):
        program(name, of=WHAT, packages="systemd-container debootstrap util-linux")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise Unavailable(WHAT, "the kernel has no overlay file system", "modprobe overlay")


def _tree() -> Path:
    """The minimal Debian, made once."""
    tree = FOLDER / f"{SUITE}-{_digest(*PACKAGES)}"
    if not tree.exists():
        partial = _emptied(tree.with_suffix(".partial"))
        _make(
            "a minimal Debian",
            [
                *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                *(SUITE, str(partial), *_mirror()),
            ],
        )
        partial.rename(tree)
    return tree


def _mirror() -> list[str]:
    """Where this machine's apt has the suite from; without one, debootstrap knows a mirror."""
    if not shutil.which("apt-get"):
        return []
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    found = [row[2] for row in rows if row[:2] == [SUITE, "main"]]
    return found[:1]


def _wheels() -> Path:
    """The locked packages, fetched once by this machine's pip for the container's Python."""
    locks = [ROOT / "requirements-web.lock", ROOT / "deploy" / "build.lock"]
    wheels = FOLDER / f"wheels-{_digest(*(lock.read_text() for lock in locks))}"
    if not wheels.exists():
        partial = _emptied(wheels.with_suffix(".partial"))
        for lock in locks:
            _make(
                "the locked packages",
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                    *("--require-hashes", "--only-binary=:all:", f"--python-version={PYTHON}"),
                    *(*_platforms(), f"--dest={partial}", f"--requirement={lock}"),
                ],
            )
        partial.rename(wheels)
    return wheels


def _platforms() -> list[str]:
    """The kinds of wheel that Debian 12 can install: its glibc is 2.36."""
    machine = platform.machine()
    kinds = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)]
    return [f"--platform={kind}" for kind in (*kinds, f"manylinux2014_{machine}")]


def _make(what: str, command: list[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        output = (finished.stdout + finished.stderr)[-2000:]
        why = f"{what} could not be fetched: {output}"
        raise Unavailable(WHAT, why, "let apt and pip reach their mirrors")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
