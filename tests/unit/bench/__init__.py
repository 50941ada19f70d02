"""The pure parts of the benchmark, and how it handles processes."""
