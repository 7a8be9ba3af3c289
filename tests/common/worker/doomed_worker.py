"""The twitchbot worker, in which the thread of each scheduler dies when its first pass begins.

As by a defect outside of the pass, whose own errors are caught.
"""

import sys

from common.database.run_history import Run
from common.scheduling.observer import Observer
from common.worker import worker_process
from workers.twitchbot import SERVICE


class _Defect(Observer):
    def started(self, run: Run) -> None:
        raise RuntimeError("no code expects it")


if __name__ == "__main__":
    vars(worker_process)["ProgressLog"] = _Defect
    sys.exit(worker_process.main(SERVICE))
