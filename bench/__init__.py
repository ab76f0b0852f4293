"""Benchmarks: ours against baselines, in turns on one machine. `make bench` runs them; see docs/performance.md."""
