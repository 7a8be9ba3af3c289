"""sse: disconnects inactive clients of the event stream."""

from common.scheduling import LiveService, Service
from workers.sse import client_cleanup

SERVICE = Service(
    "sse",
    (client_cleanup.SCHEDULER,),
    metrics_port=9805,
    live=LiveService(
        defaults={"DB_NAME": "sse_db"},
        only_names={"DB_SSL_MODE": "DB_SSLMODE"},
    ),
)
