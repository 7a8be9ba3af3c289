"""notification: sends failed Discord notifications again and cleans up old ones."""

from common.scheduling import LiveService, Service
from common.scheduling.live_service import SERVER
from workers.notification import notification_adoption, notification_cleanup, notification_retry

SERVICE = Service(
    "notification",
    (notification_retry.SCHEDULER, notification_cleanup.SCHEDULER),
    metrics_port=9804,
    live=LiveService(
        defaults={"DB_USER": "azkaban", "DB_NAME": "azkaban"},
        only_names={"DB_SSL_MODE": "DB_SSLMODE"},
        reads=(*SERVER, "KAFKA_GROUP_ID", "KAFKA_TOPICS"),
    ),
    adoptions=(notification_adoption.SCHEDULER,),
)
