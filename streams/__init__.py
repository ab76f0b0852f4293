"""What happens to a signal, an update and a command, in which order, and what is durable after each step."""
