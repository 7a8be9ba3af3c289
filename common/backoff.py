"""Back-off: how long to wait after consecutive failures."""

import random

FIRST_RETRY_SECONDS = 1.0
LEAST_RETRY_SECONDS = 0.1
# The longest back-off while a server is unreachable: a pass succeeds within 5 s of its return.
RECONNECT_SECONDS = 4.0


def retry_delay(failures: int, limit: float) -> float:
    """Seconds to wait after ``failures`` in a row, at most ``limit``: exponential, full jitter.

    Jitter spreads the reconnects of eight workers over time.
    """
    ceiling = min(limit, FIRST_RETRY_SECONDS * 2.0 ** min(failures, 32))
    return max(LEAST_RETRY_SECONDS, random.uniform(0, ceiling))
