"""When a scheduler is overdue: one rule for `toast status`, alert rules and Sentry."""

# One pass may fail or be long if the next succeeds; a minute covers a restart.
INTERVALS = 2
MARGIN_SECONDS = 60.0


def overdue_after(interval: float) -> float:
    """Seconds without a successful pass after which a scheduler of this interval is overdue."""
    return INTERVALS * interval + MARGIN_SECONDS
