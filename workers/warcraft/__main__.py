"""The worker process toast-warcraft, as `toast run warcraft` starts it too."""

import sys

from common.worker import worker_process
from workers.warcraft import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
