"""Standard input, output and error that were closed at the start."""

import os

STANDARD_ERROR = 2


def occupy_closed(flags: int) -> None:
    """Open closed ones to nowhere: a later connection that got such a number would get the output.

    With os.O_RDONLY, what is written to them fails as before; with os.O_RDWR it is dropped.
    """
    while (unused := os.open(os.devnull, flags)) <= STANDARD_ERROR:
        pass
    os.close(unused)
