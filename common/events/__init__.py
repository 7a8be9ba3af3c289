"""From a committed change to Kafka: the JSON of an event, the outbox, the producer, the publisher.

A scheduler needs ``envelope`` alone: SQL that puts an event into the outbox in the statement that
changes the row. The publisher moves events from there to Kafka, in order per key.
"""
