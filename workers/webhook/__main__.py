"""The worker process toast-webhook, as `toast run webhook` starts it too."""

import sys

from common.worker import worker_process
from workers.webhook import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
