"""What a user would run instead of the worker of link: one program per library.

They import each other only relatively, and run as `python -m programs.NAME` from the folder
above: none may carry, in time or in memory, what the benchmark itself imports.
"""
