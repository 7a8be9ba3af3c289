"""Servers on loopback for `make run`, tests and benchmarks; not installed on a VM.

``postgres.PostgresServer``, ``mock_broker.Broker`` (Kafka in memory), ``kafka.KafkaServer`` and
``pgbouncer.PgBouncer`` (the real ones), ``standins`` for remote APIs, and ``sample_data``. Each
server is a process or thread that ends with its parent.
"""
