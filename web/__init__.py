"""`toast web`: a page that shows what the schedulers do, and lets operators act.

``app`` puts it together: ``pages`` read and show, ``actions`` change, ``access`` decides who may.
Nothing imports this package; the command finds it by name.
"""
