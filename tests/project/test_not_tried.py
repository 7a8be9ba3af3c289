"""What a machine lacks is skipped, and listed before pytest's last line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE

TESTS = """
import pytest
from devservers.needs import Unavailable, program

@pytest.fixture(scope="session")
def server():
    program("toast-no-such-server", of="a server", packages="one two")

def test_with_a_fixture(server): pass
def test_with_the_same_fixture(server): pass
def test_that_starts_its_own(): program("toast-no-such-server", of="a server", packages="one two")
def test_that_lacks_something_else(): raise Unavailable("a moon", "none\\n is up", "wait")
def test_that_is_skipped_otherwise(): pytest.skip("too late")
def test_that_is_tried(): program("sh", of="a shell", packages="dash")
"""


def last_lines(folder: Path, *arguments: str, ci: str = "false") -> list[str]:
    """The lines that pytest prints for these tests."""
    (folder / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "tests.support.not_tried",
                "-p",
                "no:cacheprovider",
            ),
            *(f"--rootdir={folder}", *arguments, str(folder)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CI": ci},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_missing_server_has_one_line_for_all_its_tests(tmp_path: Path, processes: str) -> None:
    *others, last = last_lines(tmp_path, "-ra", "--numprocesses", processes)

    assert others[-3:] == [
        "Not tried: 3 tests on a server (no toast-no-such-server): apt install one two",
        "Not tried: 1 test on a moon (none is up): wait",
        "Not tried: 1 test: too late",
    ]
    assert "1 passed, 5 skipped in" in last


def test_no_line_appears_when_everything_was_tried(tmp_path: Path) -> None:
    lines = last_lines(tmp_path, "-k", "test_that_is_tried")

    assert "1 passed" in lines[-1]
    assert not [line for line in lines if "Not tried" in line]


def test_ci_must_have_everything(tmp_path: Path) -> None:
    *others, last = last_lines(tmp_path, "-ra", ci="true")

    assert "2 failed, 1 passed, 1 skipped, 2 errors in" in last
    assert any("CI must have a moon (none is up): wait" in line for line in others)
