"""Kinds of work: how a pass finds and changes due rows.

``batched_change`` changes or deletes all due rows of a table (``retention``: the old ones), and
``alerts`` are raised once; both run through ``batched_pass``, which goes over the table in
``batches`` and isolates ``bad_rows``.
"""
