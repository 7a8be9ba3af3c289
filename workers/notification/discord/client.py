"""Discord's API for webhooks, version 10: post one embed.

A webhook's URL is a secret. It appears in no text that this module returns or raises, even if the
reply repeats it.
"""

import threading
import time

from common import metrics
from common.remote.http import client as http
from common.remote.http.egress import Egress
from workers.notification.discord import reply
from workers.notification.discord.message import Message
from workers.notification.discord.reply import DiscordReply, SendResult

TIMEOUT_SECONDS = 10.0
# The reply has the complete message, its embed of up to 6,000 characters escaped, and its id.
_MOST_BYTES = 256 * 1024


class Discord:
    """Posts to webhooks; safe to share between threads, each has its own connection."""

    def __init__(self, egress: Egress | None = None) -> None:
        self._egress = egress
        self._thread = threading.local()
        self._clients: list[http.Client] = []

    def post(self, message: Message) -> DiscordReply:
        """Send one message, without mentions; remote failures are in the reply, not raised."""
        started = time.monotonic()
        try:
            with metrics.remote_call("notification", "discord") as outcome:
                response = self._client().request(
                    "POST",
                    message.webhook.url,
                    seconds=TIMEOUT_SECONDS,
                    most_bytes=_MOST_BYTES,
                    json={"embeds": [message.embed], "allowed_mentions": {"parse": []}},
                )
                outcome(metrics.http_outcome(response.status))
        except http.NoResponse as error:
            at = time.monotonic()
            took = round((at - started) * 1000)
            return DiscordReply(
                SendResult(error=str(error), milliseconds=took, away=True), None, at
            )
        at = time.monotonic()
        return DiscordReply(
            reply.outcome(response, message.webhook, at - started),
            reply.bucket(response.headers),
            at,
        )

    def close(self) -> None:
        """Close all connections, also those with a request in flight."""
        for client in list(self._clients):
            client.close()

    def _client(self) -> http.Client:
        if not hasattr(self._thread, "client"):
            self._thread.client = http.Client(self._egress)
            self._clients.append(self._thread.client)
        client: http.Client = self._thread.client
        return client
