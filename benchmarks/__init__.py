"""Figures for speed and memory, each rebuilt by one command: `python -m benchmarks`."""
