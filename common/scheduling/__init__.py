"""What a scheduler is, how its passes run, and the ways to find and change the rows that are due.

``scheduler`` has the types ``Scheduler``, ``Pass`` and ``PassResult``; ``batched_change`` changes
all due rows of a table, ``retention`` deletes old ones, ``alerts`` raises an alert once;
``loop`` and ``pass_runner`` run passes.
"""
