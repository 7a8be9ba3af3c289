"""The worker process toast-blog, as `toast run blog` starts it too."""

import sys

from common.worker import worker_process
from workers.blog import SERVICE

if __name__ == "__main__":
    sys.exit(worker_process.main(SERVICE))
