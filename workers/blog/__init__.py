"""blog: publishes scheduled posts."""

from common.scheduling import Service
from workers.blog import post_publisher

SERVICE = Service("blog", (post_publisher.SCHEDULER,), metrics_port=9801)
