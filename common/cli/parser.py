"""An argument parser whose messages cannot control the terminal, nor get lost."""

import argparse
import sys
from typing import Any, NoReturn

from common import exit_codes
from common.cli import output


class Parser(argparse.ArgumentParser):
    """Parses the command line of ``toast``, and of its commands."""

    def error(self, message: str) -> NoReturn:
        """Exit on wrong usage; the message may quote any argument."""
        self.print_usage(sys.stderr)
        output.complain(f"{self.prog}: error: {output.printable(message, keep='')}")
        self.exit(exit_codes.USAGE)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or version, of which argparse would hide that it cannot be written."""
        if file is sys.stdout:
            output.write_raw(message)
        else:
            super()._print_message(message, file)
