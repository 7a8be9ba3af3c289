"""A Debian in a container, and what an operator does there: for tests/project/vm_checks.py."""
