"""Helpers and fixtures that more than one room of the tests uses."""
