"""The command `toast`, started by ``commands.main``.

The packages ``check`` and ``status`` are `toast check` and `toast status`.
"""
