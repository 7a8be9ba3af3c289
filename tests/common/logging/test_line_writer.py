"""A log whose reader is slow, frozen or gone, or whose disk is full, delays nothing."""

import os
import re
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.logging.line_writer import FLUSH_SECONDS, MOST_BYTES, LineWriter
from devservers.child_processes import PATIENCE, poll_until

PIPE_BYTES = 65_536


def notice(dropped: int) -> bytes:
    return b"dropped %d\n" % dropped


class Pipe:
    """A pipe, and the writer that writes into it."""

    def __init__(self) -> None:
        self.reader, self._descriptor = os.pipe()
        self.writer = LineWriter(self._descriptor, notice)

    def set_non_blocking(self) -> None:
        os.set_blocking(self._descriptor, False)

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        if self.reader >= 0:
            self.close_reader()
        self.writer.close()  # which now ends, and so writes into no later file of this number
        os.close(self._descriptor)

    def read_until(self, pattern: bytes) -> bytes:
        """What comes out, up to this pattern."""
        text = b""
        while not re.search(pattern, text):
            text += os.read(self.reader, 1_000_000)
        return text


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def numbered(number: int) -> bytes:
    return b"%06d %s\n" % (number, b"x" * 1_000)


def test_a_line_is_out_when_the_call_returns(pipe: Pipe) -> None:
    writer = pipe.writer
    for number in range(100):
        writer.write(b"%d\n" % number)
        assert os.read(pipe.reader, 100) == b"%d\n" % number
    writer.close()


def test_a_reader_that_comes_back_gets_the_first_lines_and_the_number_of_the_others(
    pipe: Pipe,
) -> None:
    writer = pipe.writer
    lines, started = 2 * (PIPE_BYTES + MOST_BYTES) // 1_000, time.monotonic()
    for number in range(lines):
        writer.write(numbered(number))
    assert time.monotonic() - started < 5
    assert 0 < writer.dropped < lines

    text = pipe.read_until(rb"dropped \d+\n")

    kept = lines - writer.dropped
    assert text == b"".join(map(numbered, range(kept))) + notice(writer.dropped)
    assert kept * 1_008 < PIPE_BYTES + MOST_BYTES + 2_000
    writer.write(b"as before\n")
    assert os.read(pipe.reader, 100) == b"as before\n"


def test_lines_of_several_threads_keep_their_order_and_are_whole(pipe: Pipe) -> None:
    writer = pipe.writer

    def write(name: int) -> None:
        for number in range(60):
            writer.write(b"%d %s" % (name, numbered(number)))

    threads = [threading.Thread(target=write, args=(name,), daemon=True) for name in range(4)]
    for thread in threads:
        thread.start()
    lines: list[bytes] = []
    with os.fdopen(os.dup(pipe.reader), "rb") as stream:
        for line in stream:
            lines.append(line)
            if len(lines) == 240:
                break
    for name in range(4):
        own = [line for line in lines if line.startswith(b"%d " % name)]
        assert own == [b"%d %s" % (name, numbered(number)) for number in range(60)]


def test_a_line_longer_than_the_queue_is_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno(), notice)
        writer.write(b"x" * 2 * MOST_BYTES + b"\n")
        writer.write(b"next\n")
        writer.close()
    assert (tmp_path / "log").stat().st_size == 2 * MOST_BYTES + 6
    assert writer.dropped == 0


def test_lines_for_a_reader_that_is_gone_are_counted(pipe: Pipe) -> None:
    writer = pipe.writer
    pipe.close_reader()
    for _ in range(3):
        writer.write(b"lost\n")
    writer.close()
    writer.write(b"after the end\n")
    assert writer.dropped == 4


def test_a_reader_that_dies_while_a_line_waits_for_it_frees_it(pipe: Pipe) -> None:
    writer = pipe.writer
    for number in range(100):
        writer.write(numbered(number))
    pipe.close_reader()
    assert poll_until(lambda: writer.dropped > 30, PATIENCE)
    started = time.monotonic()
    writer.close()
    assert time.monotonic() - started < FLUSH_SECONDS


def test_a_disk_that_was_full_gets_whole_lines_again_and_the_number_of_the_lost(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno(), notice)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, hard))
            for number in range(4):
                writer.write(numbered(number))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert writer.dropped == 3
        writer.write(b"room again\n")
        writer.close()
    torn = numbered(1)[: 1_500 - len(numbered(0))]
    expected = numbered(0) + torn + b"\n" + b"room again\n" + notice(3)
    assert (tmp_path / "log").read_bytes() == expected


@pytest.mark.parametrize("frozen", [False, True])
def test_an_end_waits_a_moment_for_a_reader_that_is_slow_and_no_longer(
    pipe: Pipe, frozen: bool
) -> None:
    for number in range(100):
        pipe.writer.write(numbered(number))
    reader = threading.Timer(FLUSH_SECONDS / 3, pipe.read_until, [rb"000099 x+\n"])
    if not frozen:
        reader.start()
    started = time.monotonic()
    pipe.writer.close()
    took = time.monotonic() - started
    if not frozen:
        reader.join(PATIENCE)  # before the pipe is closed, whose number another file may get
    assert FLUSH_SECONDS / 4 < took < FLUSH_SECONDS + 1
    assert (took >= FLUSH_SECONDS) == frozen


def test_a_pipe_that_another_process_made_non_blocking_loses_no_line(
    pipe: Pipe,
) -> None:
    writer = pipe.writer
    pipe.set_non_blocking()
    for number in range(100):
        writer.write(numbered(number))
    text = pipe.read_until(rb"000099 x+\n")
    assert text == b"".join(map(numbered, range(100)))
    assert writer.dropped == 0
