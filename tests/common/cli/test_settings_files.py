"""Which settings files the command `toast` reads, and its warnings about them."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.checkout import ROOT
from devservers.child_processes import free_port
from testing.processes import Process, bare, toast

IN_DOT_ENV = "LINK_EXPIRATION_INTERVAL=7m\n"


class Machine:
    """A program, installed or in a checkout, a settings folder and a folder with a `.env`."""

    def __init__(self, folder: Path, *, checkout: bool) -> None:
        self.program, self.etc, self.elsewhere = folder / "program", folder / "etc", folder / "else"
        for each in (self.program, self.etc, self.elsewhere):
            each.mkdir()
            (each / ".env").write_text(IN_DOT_ENV)
        (self.etc / ".env").unlink()
        for name in ("common", "workers", *(["pyproject.toml"] if checkout else [])):
            (self.program / name).symlink_to(ROOT / name)
        self.environment = bare(PYTHONPATH=str(self.program), TOAST_CONFIG_DIR=str(self.etc))

    def interval(self) -> tuple[str, str]:
        """The interval and its origin, as `toast list` shows them, and its warnings."""
        answer = toast("list", env=self.environment)
        line = re.search(r"^LINK_EXPIRATION_INTERVAL +(\S+ +\S+)", answer.out, re.MULTILINE)
        assert line is not None, answer.err
        return " ".join(line[1].split()), answer.err


@pytest.mark.parametrize("stand", ["program", "else"])
def test_a_checkout_reads_its_own_env_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand: str
) -> None:
    machine = Machine(tmp_path, checkout=True)
    monkeypatch.chdir(tmp_path / stand)
    own, other = machine.program / ".env", machine.elsewhere / ".env"
    ignored = f"toast: {other} is not read; settings are read from {own}\n"
    assert machine.interval() == (f"7m {own}", ignored if stand == "else" else "")


@pytest.mark.parametrize(("checkout", "toast_env"), [(True, True), (False, True), (False, False)])
def test_where_it_is_installed_no_env_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: bool, toast_env: bool
) -> None:
    machine = Machine(tmp_path, checkout=checkout)
    if toast_env:
        (machine.etc / "toast.env").touch()
    monkeypatch.chdir(machine.elsewhere)
    shown, errors = machine.interval()
    assert shown == "1h default"
    assert sorted(errors.splitlines()) == [
        f"toast: {folder}/.env is not read; settings are read from {machine.etc}/toast.env"
        for folder in (machine.elsewhere, machine.program)
    ]


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize("command", ["outbox", "migrate"])
def test_no_password_goes_to_the_server_of_a_strangers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: socket.socket, command: str
) -> None:
    machine = Machine(tmp_path, checkout=False)
    folder = tmp_path / "red\x1b[31m"
    folder.mkdir()
    (folder / ".env").write_text(f"DB_PORT={stranger.getsockname()[1]}\n")
    (machine.etc / "toast.env").write_text(
        f"DB_HOST=127.0.0.1\nDB_USER=toast\nDB_PASSWORD=geheim\nDB_PORT={free_port()}\n"
    )
    monkeypatch.chdir(folder)
    answer = toast(command, env=machine.environment)
    assert answer.code == 1
    assert f"{f'{folder}/.env'!a} is not read" in answer.err
    with pytest.raises(BlockingIOError):
        stranger.accept()


def test_the_reason_why_nothing_is_set_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, checkout=False)
    monkeypatch.chdir(machine.elsewhere)
    for words in (["outbox"], ["status"], ["run", "link"], ["check"]):
        answer = toast(*words, env=machine.environment)
        assert answer.code == 78
        text = answer.out + answer.err
        assert (text.count("DB_HOST is not set"), text.count("else/.env is not read")) == (1, 1)


def test_a_wrong_value_stops_only_what_reads_it(tmp_path: Path) -> None:
    """`WEBHOOK_DELIVERY_TIMEOUT` is webhook-delivery's, which is off by default."""
    (tmp_path / "toast.env").write_text("DB_HOST=h\nDB_USER=u\nWEBHOOK_DELIVERY_TIMEOUT=soon\n")
    env = bare(TOAST_CONFIG_DIR=str(tmp_path))
    listed = toast("list", env=env)
    assert (listed.code, listed.err.count("is 'soon'")) == (0, 1)
    assert re.search(r"^WEBHOOK_DELIVERY_TIMEOUT +soon +\S+toast.env", listed.out, re.MULTILINE)
    named = toast("once", "webhook", "webhook-delivery", env=env)
    assert (named.code, named.err.count("is 'soon'")) == (78, 1)
    worker = toast("run", "webhook", env={**env, "WEBHOOK_DELIVERY_ENABLED": "true"})
    assert (worker.code, worker.err.count("is 'soon'")) == (78, 1)


@pytest.mark.servers
def test_every_command_and_the_worker_give_a_warning_once_and_without_the_value(
    tmp_path: Path,
) -> None:
    path = tmp_path / "toast.env"
    path.write_text(
        f"DB_HOST=127.0.0.1\nDB_PORT={free_port()}\nDB_USER=toast\nDB_PASSWORD=geheim #more\n"
    )
    env = bare(TOAST_CONFIG_DIR=str(tmp_path), LOG_FORMAT="json")
    expected = (
        f"DB_PASSWORD in {path} line 4: the value ends before the #, but not for systemd; "
        "write a comment on a line of its own, and a value with # in quotes"
    )
    answers = [
        toast(*words, env=env)
        for words in (["list"], ["status"], ["outbox"], ["migrate"], ["once", "link"])
    ]
    assert [answer.err.count(f"toast: {expected}\n") for answer in answers] == [1] * 5
    checked = toast("check", "--json", env=env)
    messages = [row["message"] for row in json.loads(checked.out)]
    with Process("workers.link", env=env) as worker:
        worker.wait_for("worker_started")
        assert worker.stop() == 0
    logged = [record["reason"] for record in worker.records("setting_questioned")]
    assert (messages.count(expected), logged) == (1, [expected])
    everything = "".join(f"{answer.out}{answer.err}" for answer in [*answers, checked])
    assert not re.search("geheim|#more", everything + worker.log)
