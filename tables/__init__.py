"""Order, signal and position state: rows by partition, their indexes, and the store that keeps them."""
