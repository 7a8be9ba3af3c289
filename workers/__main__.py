"""The command `toast`, also `python -m workers`."""

import os
import signal
import sys

import workers


def main() -> int:
    """Run the command with the arguments of this process; returns its exit code."""
    _on_ctrl_c(_leave)
    # Imported here, because the imports take longer than many a command.
    from common import exit_codes
    from common.cli import output

    output.open_streams()
    from common.cli import commands, services
    from common.logging import logs

    logs.take_over()
    try:
        _on_ctrl_c(signal.default_int_handler)
        return commands.main(services.Services(workers.SERVICES, workers.load))
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    finally:
        _on_ctrl_c(_leave)
        output.close_streams()


def _on_ctrl_c(handler: "signal._HANDLER") -> None:
    """Set what Ctrl-C does, unless it is ignored, as in the background of a script."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _leave(number: int, frame: object) -> None:
    """End the process where KeyboardInterrupt would show a traceback."""
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
