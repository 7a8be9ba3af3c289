"""The worker process toast-sse, as `toast run sse` starts it too."""

import sys

from common import worker
from workers.sse import SERVICE

if __name__ == "__main__":
    sys.exit(worker.main(SERVICE))
