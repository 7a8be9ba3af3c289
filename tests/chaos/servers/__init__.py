"""Campaigns about PostgreSQL, Kafka and the network: outages, lost replies, order, poolers."""
