"""Events: the JSON of a message, the outbox, the producer and the publisher.

A scheduler needs only ``envelope``: SQL that inserts an event into the outbox in the statement
that changes the row. The publisher sends events from there to Kafka, in order per key.
"""
