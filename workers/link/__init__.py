"""link: expires short links."""

from common.scheduling import Service
from workers.link import link_expiration

SERVICE = Service("link", (link_expiration.SCHEDULER,), metrics_port=9803)
