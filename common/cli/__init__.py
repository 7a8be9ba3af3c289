"""The command `toast`: one module per subcommand, started by ``commands.main``.

`toast check` and `toast status` are packages of their own.
"""
