"""blog: publishes scheduled posts."""

from common.scheduling import LiveService, Service
from workers.blog import post_publisher

SERVICE = Service(
    "blog",
    (post_publisher.SCHEDULER,),
    metrics_port=9801,
    live=LiveService(only_names={"DB_SSL_MODE": "DB_SSL_MODE"}),
)
