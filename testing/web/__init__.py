"""What tests and benchmarks of the page share: where its pages are, and a browser."""
