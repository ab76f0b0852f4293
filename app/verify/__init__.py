"""Ledgers that must say the same: our tables, the topics, the web views, the venue. See docs/verify.md."""
