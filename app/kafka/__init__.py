"""A local Apache Kafka: one node (or a few) on this machine, for development, demonstration and tests."""
