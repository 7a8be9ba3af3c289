"""The worker process toast-twitchbot, as `toast run twitchbot` starts it too."""

import sys

from common.worker import worker_process
from workers.twitchbot import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
