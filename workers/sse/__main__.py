"""The worker process toast-sse, as `toast run sse` starts it too."""

import sys

from common.worker import worker_process
from workers.sse import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
