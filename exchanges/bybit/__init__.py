"""Bybit v5: orders and questions over REST, the account's stream over WebSocket."""
