"""The paper exchange: a server that speaks Bybit v5, matches orders and keeps its own books. See `server`."""

from exchanges.paper.options import ApiKey, PaperOptions, RateLimits
from exchanges.paper.server import PaperExchange

__all__ = ["ApiKey", "PaperExchange", "PaperOptions", "RateLimits"]
