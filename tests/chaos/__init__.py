"""Fault campaigns: real workers, a real PostgreSQL and a real Kafka, and what becomes of both.

`make chaos` plays them at full size and writes docs/evidence.md; tests/promises/test_chaos.py
plays a few rounds of each. A campaign is a module of its own; campaign.py says what one is made of.
"""
