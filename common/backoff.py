"""How long to wait after failures in a row: for passes, the publisher and remote requests."""

import random

FIRST_RETRY_SECONDS = 1.0
LEAST_RETRY_SECONDS = 0.1
# A lost server is asked for again at least this often, however long it stays away: the first good
# pass comes within 5 s of its return.
RECONNECT_SECONDS = 4.0


def retry_delay(failures: int, limit: float) -> float:
    """Seconds to wait after that many failures in a row: exponential with full jitter.

    Jitter spreads the reconnects of eight workers over time.
    """
    ceiling = min(limit, FIRST_RETRY_SECONDS * 2.0 ** min(failures, 32))
    return max(LEAST_RETRY_SECONDS, random.uniform(0, ceiling))
