"""Servers on loopback for `make run`, tests and benchmarks.

PostgreSQL, Kafka, stand-ins for remote APIs, and sample data.

Each is a process or thread that ends with its parent. Nothing of this is installed on a VM.
"""
