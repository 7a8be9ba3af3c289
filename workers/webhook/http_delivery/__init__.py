"""One HTTP POST to a receiver: target URL, SSRF guard, signature, deadline, reply.

``attempt.make`` makes one attempt; ``retry_decision.decide`` reads its reply.
"""
