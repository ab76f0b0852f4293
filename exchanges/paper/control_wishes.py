"""What can be asked of the control interface, as it is posted. Unknown fields are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchanges.paper.instruments import market_key
from exchanges.paper.options import FIRST_UID
from exchanges.paper.vocabulary import Category


class MarketWish(BaseModel):
    """What to do with one market (`symbol`, on spot with its `category`) or, without one, with all: first the
    settings, then the steps.

    Prices, quantities and the spread are absolute. `bids` and `asks` pin the quotes, best first, until `unpin`;
    `requote` renews quotes that were eaten. `frozen` stops or starts the clock of the whole market.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str | None = None
    category: Category = Category.LINEAR
    mid: Decimal | None = Field(None, gt=0)
    spread: Decimal | None = Field(None, ge=0)
    depth: Decimal | None = Field(None, gt=0, description="quantity of each level")
    levels: int | None = Field(None, ge=1, le=200)
    drawn: bool = Field(False, description="back to drawn spread, depth and number of levels")
    bids: list[tuple[Decimal, Decimal]] | None = None
    asks: list[tuple[Decimal, Decimal]] | None = None
    unpin: bool = False
    last: Decimal | None = Field(None, gt=0, description="the price of the last trade, as if the crowd had made it")
    requote: bool = False
    steps: int = Field(0, ge=0, le=10_000)
    frozen: bool | None = None

    @property
    def key(self) -> str | None:
        """The market's name; a contract's symbol tells its category, only spot pairs need theirs."""
        return None if self.symbol is None else market_key(self.category, self.symbol)

    @model_validator(mode="after")
    def _makes_a_book(self) -> Self:
        """Pinned quotes must be a book: positive, best first, not crossed."""
        bids, asks = self.bids or [], self.asks or []
        if any(price <= 0 or qty <= 0 for price, qty in bids + asks):
            raise ValueError("QUOTES_NOT_POSITIVE: prices and quantities of quotes are above zero")
        if bids != sorted(bids, reverse=True) or asks != sorted(asks):
            raise ValueError("QUOTES_NOT_SORTED: quotes come best first")
        if bids and asks and bids[0][0] >= asks[0][0]:
            raise ValueError(f"QUOTES_CROSSED: bid {bids[0][0]} is not below ask {asks[0][0]}")
        return self


class ResetWish(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    books: bool = True
    faults: bool = True
    stats: bool = True
    seed: int | None = None


class HandWish(BaseModel):
    """A call of an account's owner that comes by no client: create, amend, cancel or cancel-all with its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: int = FIRST_UID
    action: Literal["create", "amend", "cancel", "cancel-all"] = "create"
    order: dict[str, object]


class FundingWish(BaseModel):
    """Funding of one contract, for one account or all: `rate` of the position's value, paid by who is long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    rate: Decimal = Field(ge=-1, le=1)
    uid: int | None = None


class LiquidationWish(BaseModel):
    """The position that the exchange takes over at the mark price: all of it, or `qty`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: int
    symbol: str
    position_idx: int = Field(0, ge=0, le=2)
    why: Literal["liquidation", "adl", "settlement"] = "liquidation"
    qty: Decimal | None = Field(None, gt=0)
