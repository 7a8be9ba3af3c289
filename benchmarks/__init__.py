"""`make bench`: the cost of the workers, compared with the least cost of the same work.

``benchmark.Benchmark`` describes one; ``throughput``, ``takeover``, ``retention``, ``remotes``,
``punctuality``, ``idle``, ``web`` and ``alternatives`` define them; ``results`` and ``table`` store
and print their figures.
"""
