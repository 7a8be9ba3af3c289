"""The worker process toast-link, as `toast run link` starts it too."""

import sys

from common.worker import worker_process
from workers.link import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
