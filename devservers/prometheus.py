"""Prometheus itself, and promtool: the machine's, or Debian's package unpacked into `.cache/`."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from devservers.checkout import CACHE
from devservers.child_processes import PATIENCE, Server, ServerProcess, free_port, poll_until
from devservers.needs import Unavailable

DOWNLOADS = CACHE / "prometheus"
DOWNLOAD_SECONDS = 300
STOP_SECONDS = 20


class Prometheus(Server):
    """A server with this configuration, in this folder, until the `with` block ends."""

    def __init__(self, configuration: Path, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._process = ServerProcess(folder / "prometheus.log")
        self._command = [
            str(program("prometheus")),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.address}",
        ]

    def start(self) -> None:
        """Start it; `wait_for` waits for its first answers."""
        self._process.start(self._command)

    def stop(self) -> None:
        """Stop it in order."""
        self._process.stop(signal.SIGTERM, STOP_SECONDS)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression returns now; none while it is still starting."""
        return self._get("query", query=expression).get("result", [])  # type: ignore[no-any-return]

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire now: name and service."""
        return {
            (alert["labels"]["alertname"], alert["labels"]["service"])
            for alert in self._get("alerts").get("alerts", [])
            if alert["state"] == "firing"
        }

    def wait_for(self, expression: str, count: int = 1) -> None:
        """Wait until an expression returns so many series."""
        enough = poll_until(lambda: len(self.query(expression)) >= count, PATIENCE, 0.2)
        assert enough, (expression, self.query(expression), self._process.log_end)

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                data: dict[str, Any] = json.load(response)["data"]
                return data
        except urllib.error.HTTPError as refusal:
            if refusal.code == 503:
                return {}  # it is still starting
            raise AssertionError((parameters, refusal.read())) from refusal
        except OSError:
            return {}


def program(name: str) -> Path:
    """The path of `prometheus` or `promtool`. Raises Unavailable."""
    if found := shutil.which(name):
        return Path(found)
    if not DOWNLOADS.exists():
        _fetch()
    return DOWNLOADS / "usr" / "bin" / name


def _fetch() -> None:
    """Unpack Debian's package into the cache, without installing it."""
    DOWNLOADS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DOWNLOADS.parent) as folder:
        try:
            try:
                _run("apt-get", "download", "prometheus", cwd=folder)
            except subprocess.CalledProcessError:
                if os.getuid() != 0:
                    raise
                _run("apt-get", "update", cwd=folder)  # a new machine has no lists yet
                _run("apt-get", "download", "prometheus", cwd=folder)
            [package] = Path(folder).glob("*.deb")
            _run("dpkg-deb", "--extract", str(package), "unpacked", cwd=folder)
        except (OSError, subprocess.SubprocessError) as error:
            how = "apt install prometheus"
            raise Unavailable("Prometheus", f"apt-get could not fetch it: {error}", how) from error
        try:
            (Path(folder) / "unpacked").rename(DOWNLOADS)
        except OSError:
            if not DOWNLOADS.exists():  # another test process was faster
                raise


def _run(*command: str, cwd: str) -> None:
    subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DOWNLOAD_SECONDS,
        check=True,
    )
