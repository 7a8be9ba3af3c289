"""The worker process toast-foodfolio, as `toast run foodfolio` starts it too."""

import sys

from common.worker import worker_process
from workers.foodfolio import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
