"""Fault campaigns: real workers, a real PostgreSQL and a real Kafka, with faults.

`make chaos` plays them at full size and writes docs/evidence.md; tests/promises/test_chaos.py
plays a few rounds of each. A campaign is a module of its own; campaign.py defines its parts.
"""
