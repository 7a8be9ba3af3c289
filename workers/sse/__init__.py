"""sse: disconnects inactive clients of the event stream."""

from common.scheduling import Service
from workers.sse import client_cleanup

SERVICE = Service("sse", (client_cleanup.SCHEDULER,), metrics_port=9805)
