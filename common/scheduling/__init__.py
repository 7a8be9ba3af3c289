"""Schedulers: what one is, how its passes run, and how they find and change due rows.

``scheduler`` has the types ``Scheduler``, ``Pass`` and ``PassResult``; ``batched_change`` changes
all due rows of a table, ``retention`` deletes old ones, ``alerts`` raises an alert once;
``loop`` and ``pass_runner`` run passes.
"""
