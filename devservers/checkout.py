"""The folders of this checkout."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
# What was fetched or built once: `make clean` removes it.
CACHE = ROOT / ".cache"
