"""When rows are due: the conditions, the next moment, and how late rows were."""
