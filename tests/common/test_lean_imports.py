"""psycopg goes without the modules that it does not need; every other program has them."""

import subprocess
import sys

import pytest

from devservers.checkout import ROOT

SPARED = "print(*sorted({'asyncio', 'importlib.metadata'} & set(sys.modules)))"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (f"import common, sys; {SPARED}", ""),
        ("import common, asyncio; asyncio.run(asyncio.sleep(0)); print('slept')", "slept"),
        (
            "import common; from importlib import metadata; print(metadata.version('pytest'))",
            pytest.__version__,
        ),
        (f"import psycopg, common, sys; {SPARED}", "asyncio importlib.metadata"),
        (
            "import asyncio, common, psycopg; print(psycopg.errors.CancelledError.__module__)",
            "asyncio.exceptions",
        ),
        ("import common, psycopg; print(psycopg.pq.__impl__)", "binary"),
    ],
    ids=[
        "spared",
        "asyncio for others",
        "metadata for others",
        "after psycopg",
        "after asyncio",
        "not the slow one",
    ],
)
def test_only_psycopg_goes_without(program: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
