"""APScheduler: an interval job of a BlockingScheduler, in one process."""

from apscheduler.schedulers.blocking import BlockingScheduler

from .links import expire_links

if __name__ == "__main__":
    scheduler = BlockingScheduler()
    scheduler.add_job(expire_links, "interval", seconds=1)
    scheduler.start()
