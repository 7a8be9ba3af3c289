"""One HTTP POST to a receiver: target URL, SSRF guard, signature, deadline, meaning of the reply.

``attempt`` makes one attempt; ``retry_decision`` decides from its reply.
"""
