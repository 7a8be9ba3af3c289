"""Schedulers: what one is, how its passes run, and how they find and change due rows.

A scheduler takes ``Scheduler``, ``Pass`` and ``PassResult`` from here. ``batched_change`` changes
all due rows of a table, ``retention`` deletes old ones, ``alerts`` raises an alert once,
``due_rows`` counts; a worker loads only those that its schedulers import. ``loop`` and
``pass_runner`` run passes.
"""

from common.scheduling.scheduler import (
    NOTHING,
    PREVIEW_ROWS,
    Pass,
    PassResult,
    Preview,
    Remote,
    Scheduler,
    Service,
)
