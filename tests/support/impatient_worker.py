"""The twitchbot worker, for which a pass counts as stalled after a second.

A module of its own, and not a setting: no operator should run a worker like that.
"""

import sys

from common.scheduling.under_way import heartbeat
from common.worker import worker_process
from workers.twitchbot import SERVICE

heartbeat.STALLED_SECONDS = 1.0

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
