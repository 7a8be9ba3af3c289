"""SQL conditions: which deliveries webhook-delivery may send, and for which webhooks."""

IS_DUE = """
    delivery.status = 'retrying' AND delivery.deleted_at IS NULL
    AND delivery.next_retry_at <= %(now)s"""
IS_ACTIVE = "webhook.active AND webhook.deleted_at IS NULL"
