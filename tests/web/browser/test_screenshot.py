"""The picture of the front page in the README: `make screenshot` makes it, and it is small."""

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser

from demo.screenshot import FILE
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE

MOST_BYTES = 200_000


def is_small_picture(file: Path) -> bool:
    content = file.read_bytes()
    return content[:4] + content[8:12] == b"RIFFWEBP" and 20_000 < len(content) < MOST_BYTES


def test_the_readme_shows_it() -> None:
    assert f"]({FILE.relative_to(ROOT)})" in (ROOT / "README.md").read_text("utf-8")
    assert is_small_picture(FILE)


def test_it_is_made(browser: Browser, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "demo.screenshot", tmp_path / "page.webp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert is_small_picture(tmp_path / "page.webp")
