"""The HTTP endpoint of a worker: where it listens, what it reads, and its one thread."""
