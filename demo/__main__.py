"""`python -m demo [--once]`, the command of `make run`."""

import argparse
import sys

from demo import launcher


def main() -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make run", description=launcher.__doc__)
    parser.add_argument("--once", action="store_true", help="end after the first round")
    return launcher.main(once=parser.parse_args().once)


if __name__ == "__main__":
    sys.exit(main())
