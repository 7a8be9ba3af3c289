"""One line per record, with any content; readable for a person, parseable for a machine."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from common.logging import logs, redaction
from devservers.checkout import ROOT

RUN_ID = UUID("0b6f7e1c-5a2d-4f59-9d6e-0e6b8f3f1a11")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
EASTERN = timezone(timedelta(hours=2))
# What could end a line or drive a terminal: controls, and Unicode's own line ends and overrides.
DANGEROUS = [chr(code) for code in (*range(32), *range(127, 160), 0x2028, 0x2029, 0x202E, 0xFEFF)]


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class Captured:
    """A file that takes a log, and gives it back by line."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("log")

    def __del__(self) -> None:
        os.close(self.descriptor)

    def text(self) -> str:
        return os.pread(self.descriptor, 10_000_000, 0).decode()

    def lines(self) -> list[str]:
        text = self.text()
        assert text == "" or text.endswith("\n")
        return text.split("\n")[:-1]

    def line(self) -> str:
        (line,) = self.lines()
        return line

    def record(self) -> dict[str, Any]:
        record = json.loads(self.line())
        assert isinstance(record, dict)
        return record


def captured(format: str, level: str = "info") -> Captured:
    stream = Captured()
    logs.configure(level, format, descriptor=stream.descriptor)
    return stream


log = logs.logger("tests.some_module")


# --- the two formats --------------------------------------------------------------------------


def test_text_is_time_level_event_and_fields() -> None:
    stream = captured("text")
    with logs.bind(service="link", scheduler="link-expiration", run_id=RUN_ID):
        log.info("pass_finished", processed=3)
    assert re.fullmatch(
        TIME + f" info pass_finished service=link scheduler=link-expiration "
        f"run_id={RUN_ID} processed=3",
        stream.line(),
    )


def test_json_is_an_object_with_the_same_in_the_same_order() -> None:
    stream = captured("json")
    with logs.bind(service="link", scheduler="link-expiration", run_id=RUN_ID):
        log.info("pass_finished", processed=3)
    record = stream.record()
    assert re.fullmatch(TIME, record.pop("time"))
    assert list(record.items()) == [
        ("level", "info"),
        ("event", "pass_finished"),
        ("service", "link"),
        ("scheduler", "link-expiration"),
        ("run_id", str(RUN_ID)),
        ("processed", 3),
    ]


def test_the_time_is_now_in_utc() -> None:
    stream = captured("json")
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log.info("event")
    assert before <= datetime.fromisoformat(stream.record()["time"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("value", "in_json", "in_text"),
    [
        ("word", "word", "word"),
        ("two words", "two words", '"two words"'),
        ('a"b', 'a"b', r'"a\"b"'),
        ("a\\b", "a\\b", r'"a\\b"'),
        ("a=b", "a=b", '"a=b"'),
        ("", "", '""'),
        ("größe", "größe", "größe"),
        (-3, -3, "-3"),
        (2.5, 2.5, "2.5"),
        (float("nan"), "nan", "nan"),
        (float("-inf"), "-inf", "-inf"),
        (2**70, str(2**70), str(2**70)),
        (True, True, "true"),
        (None, None, "null"),
        (timedelta(minutes=1, milliseconds=500), 60.5, "60.5"),
        (datetime(2026, 11, 23, 1, 0, 0, 5, UTC), *["2026-11-23T01:00:00.000005Z"] * 2),
        (datetime(2026, 11, 23, 1, tzinfo=EASTERN), *["2026-11-22T23:00:00Z"] * 2),
        (datetime(2026, 11, 23, 17), "2026-11-23T17:00:00", "2026-11-23T17:00:00"),
        (RUN_ID, str(RUN_ID), str(RUN_ID)),
        (Decimal("1.10"), "1.10", "1.10"),
        (Path("/etc/toast"), "/etc/toast", "/etc/toast"),
        ((1, "a"), "(1, 'a')", "\"(1, 'a')\""),
        (ValueError("too big"), "ValueError: too big", '"ValueError: too big"'),
    ],
)
def test_a_value_is_written_as_its_kind(value: object, in_json: object, in_text: str) -> None:
    stream = captured("json")
    log.info("event", value=value)
    assert stream.record()["value"] == in_json
    assert type(stream.record()["value"]) is type(in_json)
    stream = captured("text")
    log.info("event", value=value)
    assert stream.line().partition(" info event value=")[2] == in_text


def test_auto_is_json_without_a_terminal() -> None:
    stream = captured("auto")
    log.info("event")
    assert stream.record()["event"] == "event"


def test_auto_is_text_at_a_terminal() -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as terminal, os.fdopen(slave, "w"):
        logs.configure("info", "auto", descriptor=slave)
        log.info("event", count=1)
        assert re.fullmatch(TIME + " info event count=1\r\n", terminal.read(1000).decode())


def test_lines_for_the_journal_begin_with_their_priority() -> None:
    stream = Captured()
    status = os.fstat(stream.descriptor)
    # Its own number, and that of another process's stream, which was inherited.
    for journal in (f"{status.st_dev}:{status.st_ino}", "1:2"):
        logs.configure("debug", "text", descriptor=stream.descriptor, journal=journal)
        for write in (log.debug, log.info, log.warning, log.error):
            write("written")
    starts = [line.partition("2")[0] for line in stream.lines()]
    assert starts == ["<7>", "<6>", "<4>", "<3>", "", "", "", ""]


def test_json_is_possible_at_a_terminal() -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as terminal, os.fdopen(slave, "w"):
        logs.configure("info", "json", descriptor=slave)
        log.info("event")
        assert json.loads(terminal.read(1000))["event"] == "event"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_records_below_the_level_are_not_written(level: str) -> None:
    stream = captured("json", level)
    log.debug("debug")
    log.info("info")
    log.warning("warning")
    log.error("error")
    levels = ["debug", "info", "warning", "error"]
    records = [json.loads(line) for line in stream.lines()]
    assert [record["event"] for record in records] == levels[levels.index(level) :]
    assert all(record["level"] == record["event"] for record in records)


def test_configuring_again_replaces_the_stream() -> None:
    first, second = captured("json"), captured("json")
    log.info("event")
    assert (first.lines(), len(second.lines())) == ([], 1)


def test_by_default_records_go_to_standard_error() -> None:
    script = (
        "from common.logging import logs;"
        " logs.configure('info', 'auto'); logs.logger('x').info('e')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    assert (done.stdout, json.loads(done.stderr)["event"]) == ("", "e")


# --- what is bound ----------------------------------------------------------------------------


def test_bound_fields_nest_and_end_with_their_block() -> None:
    stream = captured("text")
    with logs.bind(service="link"):
        with logs.bind(scheduler="a", service="blog"):
            log.info("inner", service="sse")
        with pytest.raises(RuntimeError), logs.bind(scheduler="b"):
            raise RuntimeError
        log.info("outer")
    log.info("after")
    assert [line.split(" info ")[1] for line in stream.lines()] == [
        "inner service=sse scheduler=a",
        "outer service=link",
        "after",
    ]


def test_threads_do_not_share_what_they_bind() -> None:
    stream = captured("text")
    both_bound = threading.Barrier(2, timeout=30)

    def work(name: str) -> None:
        with logs.bind(scheduler=name):
            both_bound.wait()
            log.info(name)

    with logs.bind(scheduler="main"):
        threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sorted(line.split(" info ")[1] for line in stream.lines()) == [
        "a scheduler=a",
        "b scheduler=b",
    ]


# --- other libraries --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requests.sessions", "psycopg.pool", "confluent_kafka"])
def test_a_librarys_record_has_its_message_as_the_event(name: str) -> None:
    stream = captured("json")
    with logs.bind(service="link"):
        logging.getLogger(name).warning("Retrying %s after %d s", "host", 3)
    record = stream.record()
    del record["time"]
    assert record == {
        "level": "warning",
        "event": "Retrying host after 3 s",
        "service": "link",
        "logger": name,
    }


def test_a_librarys_message_is_one_quoted_text() -> None:
    stream = captured("text")
    logging.getLogger("urllib3").critical("a\nb")
    assert re.fullmatch(TIME + r' critical "a\\nb" logger=urllib3', stream.line())


# --- errors -----------------------------------------------------------------------------------


def fail() -> None:
    try:
        raise KeyError("cause")
    except KeyError as cause:
        raise ValueError("two\nlines") from cause


@pytest.mark.parametrize(
    ("format", "level", "has_traceback"),
    [("json", "info", True), ("text", "info", False), ("text", "debug", True)],
)
def test_an_exception_is_one_line(format: str, level: str, has_traceback: bool) -> None:
    stream = captured(format, level)
    try:
        fail()
    except ValueError:
        log.exception("pass_failed", attempt=2)
    line = stream.line()
    assert "error" in line
    assert r"ValueError: two\nlines" in line
    assert ("traceback" in line) is has_traceback
    assert (r"KeyError: 'cause'\n" in line) is has_traceback


def test_an_error_that_is_given_is_kept() -> None:
    stream = captured("json")
    try:
        fail()
    except ValueError:
        log.exception("pass_failed", error="given")
    assert stream.record()["error"] == "given"
    assert "two" in stream.record()["traceback"]


def test_exception_outside_an_except_block_is_an_error_without_details() -> None:
    stream = captured("json")
    log.exception("odd")
    assert set(stream.record()) == {"time", "level", "event"}


# --- injection --------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("character", DANGEROUS, ids=lambda character: f"U+{ord(character):04X}")
def test_no_data_breaks_its_line_or_reaches_the_terminal(format: str, character: str) -> None:
    stream = captured(format, "debug")
    data = f"x{character}2026-11-23T17:32:46.123Z info forged=1"
    with logs.bind(bound=data):
        log.info(data, field=data, word=f"x{character}y", **{data: 1, character: 2})
        logging.getLogger("library").info(data)
        logging.getLogger(data).info("%s", data)
        try:
            raise ValueError(data)
        except ValueError:
            log.exception("failed", other=RuntimeError(data))
    lines = stream.lines()
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


def test_a_forged_field_stays_inside_its_quotes() -> None:
    stream = captured("text")
    log.info("login", name='x" admin=true "', path="a\\", other="b c")
    assert stream.line().split(" info ")[1] == (
        r'login name="x\" admin=true \"" path="a\\" other="b c"'
    )


def test_a_field_cannot_take_the_place_of_time_level_and_event() -> None:
    stream = captured("json")
    log.info("real", event="forged", level="forged", time="forged", self="kept")
    record = stream.record()
    assert (record["level"], record["event"]) == ("info", "real")
    assert (record["event_"], record["level_"], record["time_"]) == ("forged",) * 3
    assert record["self"] == "kept"


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "json"])
def test_secrets_are_hidden_in_every_string(format: str) -> None:
    secret = "S3cr3t-of-test-logs"
    redaction.register([secret])
    stream = captured(format, "debug")
    with logs.bind(bound=secret):
        log.info(f"event {secret}", field=f"postgres://u:hunter2@h {secret}", listed=[secret])
        logging.getLogger("requests").info("POST /api/webhooks/1/hunter2?k=%s", secret)
        try:
            raise ValueError(f"{secret} password=hunter2")
        except ValueError:
            log.exception("failed", path=Path(secret))
    assert len(stream.lines()) == 3
    assert secret not in stream.text()
    assert "hunter2" not in stream.text()


# --- logging never raises ---------------------------------------------------------------------


# In UTC it would be in the year 0, which does not exist.
FIRST = datetime(1, 1, 1, tzinfo=EASTERN)


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_value_that_cannot_be_shown_does_not_lose_the_record(format: str) -> None:
    stream = captured(format)
    endless: list[object] = []
    endless.append(endless)
    log.info("event", a=Hostile(), b=endless, c=10**5000, d="\udcff", e=FIRST, f=1)
    line = stream.line()
    assert "<unprintable: RuntimeError>" in line
    assert "<unprintable: ValueError>" in line
    assert "<unprintable: OverflowError>" in line
    assert re.search(r'\bf=1$|"f": 1}$', line)


def test_a_librarys_wrong_placeholders_do_not_lose_the_record() -> None:
    stream = captured("json")
    logging.getLogger("library").warning("%d rows of %s", "three")
    assert stream.record()["event"] == "<unprintable: TypeError>"


def test_a_stream_that_cannot_show_a_letter_gets_its_escape() -> None:
    script = (
        "from common.logging import logs;"
        " logs.configure('info', 'text'); logs.logger('x').info('event', name='größe')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    assert done.stderr.endswith(rb"info event name=gr\xf6\xdfe" + b"\n")


def test_a_very_long_value_is_cut() -> None:
    stream = captured("json")
    log.info("event", body="x" * 1_000_000, count=1)
    record = stream.record()
    assert record["body"] == "x" * 10_000 + "... (1000000 characters)"
    assert record["count"] == 1


def test_a_secret_is_hidden_before_a_long_value_is_cut() -> None:
    stream = captured("json")
    log.info("event", body="x" * 9_980 + " password=" + "p" * 100)
    assert stream.record()["body"].endswith("x password=***")
