"""link: expires short links."""

from common.scheduling import LiveService, Service
from workers.link import link_expiration

SERVICE = Service(
    "link",
    (link_expiration.SCHEDULER,),
    metrics_port=9803,
    live=LiveService(only_names={"DB_SSL_MODE": "DB_SSL_MODE"}),
)
