"""The worker processes that benchmarks compare. Each takes one JSON argument: topics, directory, bootstrap."""
