"""Alternatives to the worker of link: one program per library.

They run as `python -m programs.NAME` with the folder above in PYTHONPATH, and import only each
other, so that the benchmark's own imports cost them neither time nor memory.
"""
