"""The tables, folded again from the topics, and whether they are what the live ones are. See docs/verify.md."""
