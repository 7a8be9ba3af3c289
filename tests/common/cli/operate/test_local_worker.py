"""The worker of this machine is found before its first run, too, where a manager runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devservers.child_processes import PATIENCE, bound_to_parent, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment, toast

SUPERVISORD = f"""
[supervisord]
nodaemon = true
logfile = %(here)s/log
pidfile = %(here)s/pid
[unix_http_server]
file = %(here)s/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/s
[program:toast-link]
command = {sys.executable} -m workers.link
; supervisorctl status shows no process while it is STARTING.
startsecs = 0
"""

SYSTEMCTL = """#!/bin/sh
cat <<END
Id=toast-link.service
LoadState=loaded
ActiveState=active
SubState=running
MainPID={pid}
StatusText=
END
"""


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    module_database.query("DELETE FROM toast_runs")
    return module_database


def triggered(database: TestDatabase, env: dict[str, str]) -> tuple[int, object]:
    """Trigger a worker of which no run is known; the exit code, and its process."""
    database.query("DELETE FROM toast_runs")
    answer = toast("trigger", "link", "--json", env=env)
    return answer.code, json.loads(answer.out).get("process")


@pytest.mark.usefixtures("only_link_expiration")
def test_systemd_knows_its_process(database: TestDatabase, tmp_path: Path) -> None:
    env = environment(database, PATH=f"{tmp_path}:{os.environ['PATH']}")
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished")
        (tmp_path / "systemctl").write_text(SYSTEMCTL.format(pid=worker.pid))
        (tmp_path / "systemctl").chmod(0o755)
        assert triggered(database, env) == (0, worker.pid)
        (tmp_path / "systemctl").write_text(SYSTEMCTL.format(pid=os.getpid()))
        assert triggered(database, env) == (1, None)


@pytest.mark.usefixtures("only_link_expiration")
def test_supervisord_knows_its_process(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("supervisord.conf").write_text(SUPERVISORD)
    env = environment(database)
    with subprocess.Popen(
        [Path(sys.executable).with_name("supervisord"), "-c", "supervisord.conf"],
        env=env,
        stdout=subprocess.DEVNULL,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    ) as supervisord:
        try:
            ended = "SELECT process FROM toast_runs WHERE result IS NOT NULL"
            assert poll_until(lambda: bool(database.query(ended)), PATIENCE)
            [run] = database.query(ended)
            assert triggered(database, env) == (0, run["process"])
        finally:
            supervisord.terminate()
