"""Figures for speed and memory, each rebuilt by one command: `python -m benchmarks`."""

import busi_model  # noqa: F401 (before torch: it sets how torch's threads wait)
