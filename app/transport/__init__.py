"""The way to Kafka: Faust's transport with the promises that money needs (docs/engine.md: what is added and why)."""
