"""Stops passes that delete by age while a clock is wrong."""

from datetime import timedelta

from common.errors import PassError
from common.scheduling.scheduler import Pass

MOST_DIFFERENCE = timedelta(minutes=10)


class ClocksDiffer(PassError):
    """The database's clock and this host's are too far apart to delete by either."""


def require_agreement(current: Pass) -> None:
    """Raise ClocksDiffer if the clocks of database and host differ by over ten minutes.

    Which of them is wrong is unknown, and deleting can wait.
    """
    difference = abs(current.now - current.host_now)
    if difference > MOST_DIFFERENCE:
        raise ClocksDiffer(
            f"nothing deleted: the database's clock says {current.now:%Y-%m-%d %H:%M:%S} UTC and "
            f"this host's {current.host_now:%Y-%m-%d %H:%M:%S} UTC, more than "
            f"{MOST_DIFFERENCE.seconds // 60} minutes apart: set the one that is wrong"
        )
