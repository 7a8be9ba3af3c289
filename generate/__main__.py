"""`make generate`: write every file and region that follows from the code."""

import argparse
import sys

from devservers.checkout import ROOT
from generate import targets


def main() -> int:
    """Write what is stale; with --check, print it and return 1 if anything is stale."""
    parser = argparse.ArgumentParser(prog="python -m generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if stale")
    check = parser.parse_args().check
    stale = [name for name in targets.NAMES if targets.expected(name) != targets.current(name)]
    for name in stale:
        if not check:
            (ROOT / name).write_text(targets.expected(name), "utf-8")
        print(f"{'stale' if check else 'written'}: {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
