"""foodfolio: alerts about food that expires and stock that runs out."""

from common.scheduling import LiveService, Service
from workers.foodfolio import item_expiration, stock_level

SERVICE = Service(
    "foodfolio",
    (item_expiration.SCHEDULER, stock_level.SCHEDULER),
    metrics_port=9802,
    live=LiveService(only_names={"DB_SSL_MODE": "DB_SSL_MODE"}),
)
