"""Writes the files and parts of files that follow from the code."""
