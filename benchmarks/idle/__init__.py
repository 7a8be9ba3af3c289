"""Benchmarks without work: idle workers, and passes that find nothing due."""
