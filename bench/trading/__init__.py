"""What the benchmarks of the trading way share: a venue that only notes times, the load, the workers, the raw loop."""
