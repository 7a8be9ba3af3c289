"""The command `toast`, also `python -m workers`."""

import sys

import workers
from common.cli import commands
from common.logging import logs


def main() -> int:
    """Run the command with the arguments of this process; returns its exit code."""
    logs.take_over()
    return commands.main(commands.Services(workers.SERVICES, workers.load))


if __name__ == "__main__":
    sys.exit(main())
