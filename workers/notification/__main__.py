"""The worker process toast-notification, as `toast run notification` starts it too."""

import sys

from common.worker import worker_process
from workers.notification import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
