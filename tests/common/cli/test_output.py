"""Every command in any pipe, locale and hurry: no traceback, the right exit code, nothing raw."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from uuid import UUID

import pytest

import workers
from common import config, exit_codes
from common.cli import arguments, commands, list_command, services
from common.cli.check import check
from common.cli.once import passes
from common.cli.status import collector, text
from common.version import VERSION
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, bound_to_parent
from testing.database import TestDatabase
from testing.processes import NO_BROKER, Finished, bare, environment, toast
from tests.support.expired_links import EXPIRED
from tests.support.outbox_rows import add_event
from tests.support.row_faults import refusal

pytestmark = pytest.mark.usefixtures("only_link_expiration")

# Ten characters, as many as the code of a link may have.
RAW = "\x1b[1mKä\x07\x9b\u202e\x7f"
LINK = UUID(int=1)


def of_parser() -> dict[str, argparse.ArgumentParser]:
    """Every command and its parser."""
    [action] = [
        action
        for action in arguments.parser(workers.SERVICES)._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(action.choices)


def call(name: str) -> list[str]:
    """A call of the command, of the service link where it takes one."""
    takes = {action.dest for action in of_parser()[name]._get_positional_actions()}
    row = ["link-expiration", str(LINK)] if "id" in takes else []
    more = ["--indefinitely", "--reason", "x"] if name == "pause" else row
    return [name, "link", *more] if takes & {"service", "names"} else [name]


COMMANDS = list(of_parser())
# `run` and `web` print nothing, and run until they are stopped; `trigger` needs such a worker.
CALLS = [call(name) for name in COMMANDS if name not in ("run", "web", "trigger")]
WITH_JSON = [words for words in CALLS if "json" in str(of_parser()[words[0]]._actions)]
# All others read the database, or say why they cannot.
OF_DATABASE = [words for words in WITH_JSON if words[0] not in ("list", "settings")]
CALLS += [[*words, "--json"] for words in WITH_JSON] + [["--version"], ["outbox", "--help"]]

# Redirections after which nothing can be written, and such that leave standard output.
LOSSY = (">/dev/full 2>/dev/full", ">&-", "<&- >&- 2>&-")
HARMLESS = ("2>/dev/full", "<&- 2>&-")
# All commands open their files in the same way: these two are tried with all redirections.
IN_EVERY_WAY = (["list"], ["once", "link"])


@pytest.fixture
def env(module_database: TestDatabase, mock_broker: str) -> dict[str, str]:
    """The settings of a database whose rows, errors and sessions are hostile to a terminal."""
    module_database.query(
        "DELETE FROM toast_outbox; DELETE FROM toast_outbox_set_aside; DELETE FROM link_links;"
        " DELETE FROM toast_runs; DELETE FROM toast_failed_rows; DELETE FROM toast_pauses;"
        " DROP FUNCTION IF EXISTS refuse() CASCADE;"
        + refusal("UPDATE ON link_links", "true", message=f"refused{RAW}")
    )
    module_database.insert("link_links", id=LINK, short_code=RAW, expires_at=EXPIRED)
    add_event(module_database, key=f"key{RAW}")
    module_database.query("UPDATE toast_outbox SET error = %s", f"error{RAW}")
    module_database.query(
        "INSERT INTO toast_failed_rows (scheduler, row_id, reason, failures, failed_at, retry_at)"
        " VALUES ('link-expiration', gen_random_uuid(), %s, 1, now(), now())",
        f"reason{RAW}",
    )
    module_database.query(
        "INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at,"
        " result, error) VALUES (gen_random_uuid(), 'link', 'link-expiration', 'h', 1,"
        " now(), now(), 'failed', %s)",
        f"error{RAW}",
    )
    module_database.query(
        "INSERT INTO toast_audit (login, host, action, subject, rows, first_rows, reason)"
        " VALUES ('l', 'h', 'outbox drop', %s, 1, '{1}', '')",
        f"subject{RAW}",
    )
    return environment(module_database, mock_broker)


def start(
    *words: str, env: Mapping[str, str], redirect: str = "", stdout: int | IO[str] = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start the command, with a redirection as the shell writes it."""
    return subprocess.Popen(
        ["sh", "-c", f'exec "$0" -m workers "$@" {redirect}', sys.executable, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )


def end(process: subprocess.Popen[str]) -> Finished:
    out, err = process.communicate(timeout=PATIENCE * 2)
    assert "Traceback" not in err
    shown = f"{out or ''}{err}"
    assert all(each.isprintable() or each == "\n" for each in shown), shown
    return Finished(process.returncode, out or "", err)


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_a_command_lives_with_any_pipe_and_locale(words: list[str], env: dict[str, str]) -> None:
    lossy, harmless = (LOSSY, HARMLESS) if words in IN_EVERY_WAY else (LOSSY[:1], ())
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    usual = end(start(*words, env=env))
    assert usual.out
    # All at once, because some wait for a server.
    started = {each: start(*words, env=env, redirect=each) for each in (*lossy, *harmless)}
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        without_reader = start(*words, env=env, stdout=gone)
    in_ascii = start(*words, env={**env, **ascii_only, "ENVIRONMENT": "größe"})
    for redirect in lossy:
        lost = end(started[redirect])
        assert lost.code == exit_codes.UNWRITABLE, redirect
        assert lost.err.startswith("toast: the output cannot be written: ") or "2>" in redirect
    for redirect in harmless:
        assert end(started[redirect]).code == usual.code, redirect
    left, plain = end(without_reader), end(in_ascii)
    assert (left.code, left.err) == (exit_codes.READER_GONE, "")
    assert (plain.code, plain.out.isascii()) == (usual.code, True)
    if "--json" in words:
        for line in (*usual.out.splitlines(), *plain.out.splitlines()):
            json.loads(line)


INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(name, path, target=None):
        if name == {at!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize(
    ("words", "at"),
    [
        *(("list", at) for at in ("common", "psycopg", "common.cli.output")),
        ("run link", "workers.link"),
        ("once link", "common.cli.once.passes"),
    ],
)
def test_ctrl_c_during_the_imports_ends_in_silence(
    words: str, at: str, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED.format(at=at))
    early = {**env, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    assert end(start(*words.split(), env=early)) == Finished(130, "", "")


def test_a_command_that_is_deaf_to_ctrl_c_stays_so(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED.format(at="common.cli.commands"))
    early = {**env, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    deaf = subprocess.run(
        ["sh", "-c", f"trap '' INT; exec {sys.executable} -m workers roles"],
        env=early,
        capture_output=True,
        check=False,
    )
    assert (deaf.returncode, deaf.stderr) == (0, b"")


@pytest.mark.parametrize(
    "argument",
    ["", "a" * 100_000, RAW, "a\nb", "--\x1b[2J", os.fsdecode(b"\xff\xc3")],
    ids=["empty", "long", "control", "two lines", "option", "not UTF-8"],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_argument_is_shown_escaped_and_cut(
    name: str, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = commands.main(services.Services(workers.SERVICES, workers.load), [name, argument])
    except SystemExit as usage:  # from argparse
        code = int(usage.code or 0)
    out, err = capsys.readouterr()
    assert (code, out) == (exit_codes.USAGE, "")
    assert len(err) < 2_000
    assert all(line.isprintable() for line in err.splitlines())
    assert "\nb" not in err


def test_the_version_is_printed() -> None:
    assert toast("--version", env=bare()) == Finished(0, f"toast-workers {VERSION}\n", "")


def test_the_help_says_that_an_action_is_optional() -> None:
    usage, _, _ = toast("outbox", "--help", env=bare()).out.partition("\n\n")
    assert usage.endswith("[ACTION] ...")


def test_the_exit_codes_are_those_of_the_document() -> None:
    document = (ROOT / "docs" / "operations.md").read_text("utf-8")
    [table] = re.findall(r"^\| exit code \|.*?\n\n", document, re.MULTILINE | re.DOTALL)
    known = {code for name, code in vars(exit_codes).items() if name.isupper()}
    by_signal = {exit_codes.SIGNAL + number for number in (signal.SIGHUP, signal.SIGTERM)}
    assert set(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE))) == {
        *(known - {exit_codes.SIGNAL}),
        *by_signal,
    }


# --- JSON -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code", "expected"),
    [
        ({"DB_PORT": "five"}, 78, "DB_PORT in the environment is 'five'"),
        ({"DB_PORT": "1"}, 1, "Connection refused"),
        ({"DB_PASSWORD": "not-it"}, 1, "set DB_PASSWORD to the password of the role DB_USER"),
    ],
    ids=["settings", "database away", "login"],
)
@pytest.mark.parametrize("words", OF_DATABASE, ids=" ".join)
def test_a_failure_is_json_too_where_that_is_wanted(
    words: list[str], settings: dict[str, str], code: int, expected: str, env: dict[str, str]
) -> None:
    as_json, as_text = (toast(*words, *more, env={**env, **settings}) for more in (["--json"], []))
    assert as_json.code == as_text.code == code
    assert expected in json.dumps(json.loads(as_json.out), ensure_ascii=False)
    assert expected in as_text.out + as_text.err


def test_an_unknown_service_is_json_too(env: dict[str, str]) -> None:
    answer = toast("once", "lnik", "--json", env=env)
    assert answer.code == 2
    assert json.loads(answer.out)["error"].startswith("unknown service 'lnik'. Did you mean link?")


# Words of the text that only make a table or a sentence of the values.
LABELS = {
    "list": "yes no",
    "once": "SCHEDULER TOOK DETAILS are",
    "status": """processes none is known to be up ON LAST RUN TOOK NEXT RUNS 24 H database the from
        not nor what its schedulers did yes no soon""",
    "check": "FOUND",
}
# A moment or a time span, which JSON has more exactly.
TIMES = re.compile(
    r"[\d-]{10} [\d:]{8}|(?<![\w-])\d+(\.\d+)? ?(s|min|h|d)\b(?!-)( ago)?|just now|in [\d]+ \w+"
)


@pytest.fixture
def reports(
    module_database: TestDatabase, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, tuple[str, str]]:
    """What each command with --json shows, as text and as JSON."""
    for name, value in {**env, "KAFKA_BROKERS": NO_BROKER}.items():
        monkeypatch.setenv(name, value)
    service = workers.load("link")
    settings = config.load("link", service.variables)
    outcome = passes.run(service.schedulers, settings)
    monkeypatch.setenv("DB_PORT", "1")
    sse = workers.load("sse")
    away = config.load("sse", sse.variables)
    checked = check([service], [service])
    listed = list_command.listing(services.Services(["link", "sse"], workers.load))
    found = collector.collect([(service, settings), (sse, away)], [])
    return {
        "list": (listed.as_text(), listed.as_json()),
        "once": (outcome.as_text(), outcome.as_json()),
        "status": (text.as_text(found), text.as_json(found)),
        "check": (checked.as_text(), checked.as_json()),
    }


@pytest.mark.parametrize("name", LABELS)
def test_json_has_every_word_of_the_text(name: str, reports: Mapping[str, tuple[str, str]]) -> None:
    as_text, as_json = reports[name]
    known = {*words(str(json.loads(as_json))), *words(LABELS[name])}
    assert sorted({*words(TIMES.sub("", as_text))} - known) == []


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
