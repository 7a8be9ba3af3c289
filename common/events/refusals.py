"""Tells refusals of a message apart from outages, by librdkafka's codes."""

from confluent_kafka import KafkaError

from common.events.kafka_client import ConnectionErrors
from common.events.messages import Failure

# A topic that is missing, or not yet known to a broker after its restart.
_UNKNOWN_TOPIC = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
)

# Errors that the broker returns for a whole batch because of one message.
_SHARED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.RECORD_LIST_TOO_LARGE,
    }
)

# Errors of one message or its topic that a retry does not cure. Any other error is an outage, and
# the message waits.
_REFUSALS = (
    _UNKNOWN_TOPIC
    | _SHARED
    | {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._INVALID_ARG,
    }
)


def misses_topic(error: KafkaError) -> bool:
    """Whether the topic is not known."""
    return error.code() in _UNKNOWN_TOPIC


def failure(error: KafkaError, errors: ConnectionErrors) -> Failure:
    """The failure of a message; ``errors`` explain an outage."""
    code = error.code()
    if code not in _REFUSALS:
        return Failure(errors.explain(error), refused=False)
    return Failure(
        error.str(),
        refused=True,
        shared=code in _SHARED,
        of_topic=code == KafkaError.TOPIC_AUTHORIZATION_FAILED,
    )
