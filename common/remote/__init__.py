"""Calls to other servers: threads, rate limits and the Retry-After header."""
