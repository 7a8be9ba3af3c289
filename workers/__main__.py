"""The command `toast`, also `python -m workers`."""

import sys

import workers
from common import cli


def main() -> int:
    """Run the command with the arguments of this process; returns its exit code."""
    return cli.main(cli.Services(workers.SERVICES, workers.load))


if __name__ == "__main__":
    sys.exit(main())
