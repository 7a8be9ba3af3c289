"""SQL conditions: which deliveries webhook-delivery may send, and for which webhooks.

NULL means the same as in the live pool: a ``next_retry_at`` that never comes, a webhook that is
not active. A delivery that is set aside (see delivery_pass.py) is not due.
"""

IS_DUE = """
    delivery.status = 'retrying' AND delivery.deleted_at IS NULL
    AND delivery.next_retry_at <= %(now)s
    AND NOT EXISTS (SELECT FROM toast_failed_rows AS failed
                    WHERE failed.scheduler = %(scheduler)s AND failed.row_id = delivery.id
                      AND failed.retry_at > %(now)s)"""
IS_ACTIVE = "webhook.active AND webhook.deleted_at IS NULL"
