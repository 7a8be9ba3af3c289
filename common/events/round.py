"""One round of the publisher over the whole outbox: send, delete what is stored, hold back keys.

It reads from the oldest event: an event that was committed late has a lower id than events already
sent, and a stored position would skip it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from common import failpoints, metrics
from common.events.envelope import headers
from common.events.messages import Failure, KafkaUnavailable, Outgoing
from common.events.outbox import Outbox, StoredEvent
from common.events.pace import Pace

BATCH_EVENTS = 2_000
MOST_TRIES = 5
# Keys held back behind a refused event; with more, the round ends and the next begins.
MOST_HELD_KEYS = 10_000

_NO_REPORT = Failure("no delivery report in time", refused=False)

# Sends messages; the delivery report of each, by id. Raises KafkaUnavailable.
Send = Callable[[Sequence[Outgoing]], Mapping[int, Failure | None]]


@dataclass(frozen=True, slots=True)
class Published:
    """What one round did.

    ``left`` events still wait, because of ``reason``, or Kafka has refused some, of one with the
    reason ``refusal``. ``elsewhere``: another process is publishing.
    """

    published: int = 0
    set_aside: int = 0
    left: int = 0
    reason: str = ""
    refusal: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """How a round learns that it is to end.

    ``requested()`` is True when it must send no more. ``wait(seconds)`` waits between paced events,
    and returns True at once when they are to be left.
    """

    requested: Callable[[], bool]
    wait: Callable[[float], bool]


class Round:
    """One round, in order."""

    def __init__(self, outbox: Outbox, send: Send, pace: Pace, stop: Stop) -> None:
        self._outbox = outbox
        self._send = send
        self._pace = pace
        self._stop = stop
        # Topics and keys held back, because an earlier event of theirs must be first.
        self._held: set[tuple[str, str]] = set()
        self._published = 0
        self._set_aside = 0
        self._reason = ""
        self._refusal = ""
        self._is_stopped = False

    def run(self) -> Published:
        """Publish until no event can be published, or until the stop."""
        after = 0
        while not self._is_over():
            batch = self._outbox.read_batch(after=after, limit=BATCH_EVENTS)
            self._set_aside += batch.set_aside
            if not batch.last:
                break
            after, events = batch.last, batch.events
            while events and not self._is_over():
                sending, events = self._choose(events)
                if sending:
                    self._publish(sending)
        left = self._outbox.waiting() if self._reason or self._held else 0
        return Published(self._published, self._set_aside, left, self._reason, self._refusal)

    def _is_over(self) -> bool:
        self._is_stopped = self._is_stopped or self._stop.requested()
        return self._is_stopped or bool(self._reason) or len(self._held) >= MOST_HELD_KEYS

    def _choose(self, events: list[StoredEvent]) -> tuple[list[StoredEvent], list[StoredEvent]]:
        """The next events to send, at most one per key, to keep the order of each; and the rest."""
        sending: dict[tuple[str, str], StoredEvent] = {}
        later: list[StoredEvent] = []
        most = self._pace.most_at_once
        for number, event in enumerate(events):
            if len(sending) == most:
                later += events[number:]
                break
            place = (event.topic, event.key)
            if event.is_postponed or place in self._held:
                self._held.add(place)
            elif place in sending:
                later.append(event)
            else:
                sending[place] = event
        return list(sending.values()), later

    def _publish(self, events: list[StoredEvent]) -> None:
        if not self._pace.admit(len(events), self._stop.wait):
            self._is_stopped = True
            return
        try:
            reports = self._reports([self._outgoing(event) for event in events])
        except KafkaUnavailable as error:
            self._reason = str(error)
            return
        failpoints.reach("reported")
        self._stored([event for event in events if reports.get(event.id, _NO_REPORT) is None])
        for event in events:
            if failure := reports.get(event.id, _NO_REPORT):
                self._failed(event, failure)

    def _reports(self, messages: list[Outgoing]) -> dict[int, Failure | None]:
        """Send messages together; send those with a shared refusal again, one by one."""
        reports = dict(self._send(messages))
        for message in messages:
            failure = reports.get(message.id)
            if failure and failure.shared and len(messages) > 1 and not self._stop.requested():
                try:
                    reports |= self._send([message])
                except KafkaUnavailable:
                    break  # the events stored so far must be deleted
        return reports

    def _stored(self, events: list[StoredEvent]) -> None:
        self._outbox.delete([event.id for event in events])
        for topic, number in Counter(event.topic for event in events).items():
            metrics.PUBLISHED.labels(self._outbox.service, topic).inc(number)
        self._published += len(events)

    def _failed(self, event: StoredEvent, failure: Failure) -> None:
        service = self._outbox.service
        metrics.PUBLISH_FAILURES.labels(service, event.topic).inc()
        if not failure.refused:
            self._reason = failure.reason
        elif failure.of_topic or event.tries + 1 < MOST_TRIES:
            self._outbox.postpone(event, failure.reason)
            metrics.RETRIES.labels(service, "event").inc()
            self._held.add((event.topic, event.key))
            self._refusal = failure.reason
        else:
            self._outbox.set_aside(event, failure.reason)
            self._set_aside += 1

    def _outgoing(self, event: StoredEvent) -> Outgoing:
        about = headers(self._outbox.service, event.topic, event.event_id, event.occurred_at)
        return Outgoing(event.id, event.topic, event.key, event.payload, about)
