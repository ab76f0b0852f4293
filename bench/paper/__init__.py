"""The parts of the paper exchange's benchmark: the exchange as a process, and connections that call it."""
