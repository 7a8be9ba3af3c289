"""The command `toast`, whose trigger gives a worker one second to take it.

A module of its own, and not a setting: no operator should need that.
"""

import sys

import workers.__main__
from common.cli.operate import trigger

trigger.TAKE_SECONDS = 1.0

if __name__ == "__main__":
    sys.exit(workers.__main__.main())
