"""Calls to other servers: HTTP, threads, rate limits and the Retry-After header."""
