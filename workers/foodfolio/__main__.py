"""The worker process toast-foodfolio, as `toast run foodfolio` starts it too."""

import sys

from common import worker
from workers.foodfolio import SERVICE

if __name__ == "__main__":
    sys.exit(worker.main(SERVICE))
