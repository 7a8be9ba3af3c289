"""Schedulers: what one is, how its passes run, and how they find and change due rows.

A scheduler takes ``Scheduler``, ``Condition``, ``Pass`` and ``PassResult`` from here. Its work is a
``batched_change`` of all due rows of a table (``retention`` deletes old ones), ``alerts`` that are
raised once, or its own; a worker loads only those that its schedulers import. ``loop`` and
``pass_runner`` run passes.
"""

from common.scheduling.due.conditions import Condition, has_come
from common.scheduling.live_service import LiveService
from common.scheduling.preview import PREVIEW_ROWS, Checked, Preview, Reasons
from common.scheduling.scheduler import (
    NOTHING,
    Custom,
    Pass,
    PassResult,
    Remote,
    Scheduler,
    Suspicion,
)
from common.scheduling.service import Service
