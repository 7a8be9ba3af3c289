"""Celery: beat sends a task per pass to a worker process.

`celery -A programs.celery_beat beat` and `celery -A programs.celery_beat worker`, as its
documentation advises for production. The broker is the documented one without a server: files in
the current folder. The time to hand a task over is not measured.
"""

from datetime import timedelta
from pathlib import Path

from celery import Celery

from . import links

# Kombu does not create the folder.
Path("broker").mkdir(exist_ok=True)

app = Celery("links", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": "broker", "data_folder_out": "broker"},
    task_ignore_result=True,
    # A task prints to standard output, not to the log.
    worker_redirect_stdouts=False,
    beat_schedule={
        "expire-links": {
            "task": "programs.celery_beat.expire_links",
            "schedule": timedelta(seconds=1),
        }
    },
)


@app.task
def expire_links() -> None:
    links.expire_links()
