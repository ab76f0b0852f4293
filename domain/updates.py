"""What arrives on `order-updates`: the venue's words, the outcomes of our calls, and what was asked of an order.

One tagged union. Every kind names its instrument and the order it speaks of, by our id, the venue's, or both.
`received_ns` is when this update was first seen by us; it travels in the record, so reading the log again gives the
same times.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.errors import InvalidInput
from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, Sums, TimeInForce, VenueState
from domain.protection import Role


class Origin(StrEnum):
    """How an update came to us (requirement O03)."""

    STREAM = "stream"
    REST = "rest"
    RECONCILE = "reconcile"
    OUTCOME = "outcome"
    COMMAND = "command"


class FillKind(StrEnum):
    """What caused an execution row (requirement P06). What has an order, ours or not, belongs to it too."""

    TRADE = "trade"
    FUNDING = "funding"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    MOVED = "moved"
    """The position went to, or came from, another account."""
    TAKEN_OVER = "taken_over"
    """No execution: the venue's word on how the position stands, taken as it is (requirements P03, P05). `side` and
    `quantity` are the position's, `price` its average entry."""


class Call(StrEnum):
    """A request to a venue that changes something."""

    CREATE = "create"
    AMEND = "amend"
    CANCEL = "cancel"


class Result(StrEnum):
    """What came of a call."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_ACCEPTED = "not_accepted"
    NOT_FOUND = "not_found"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    DRY_RUN = "dry_run"


class _Update(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    instrument: Instrument
    account: str
    origin: Origin
    received_ns: int
    client_order_id: str = ""
    venue_order_id: str = ""


class OrderReport(_Update, frozen=True, kw_only=True, tag="order"):
    """An order's row as the venue shows it. `cumulative` is its total so far, `updated_ns` the venue's time.

    `price` is None for market orders: a venue's protective price is not a term of ours.
    `reason` is empty unless the venue gave one that says something.
    """

    state: VenueState
    raw_status: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    cumulative: Sums
    updated_ns: int
    created_ns: int = 0
    reason: str = ""
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    post_only: bool = False
    position_side: PositionSide = PositionSide.NET
    role: Role = Role.NONE
    parent_client_order_id: str = ""
    """Of an order that the venue made to protect a position: the order that brought the protection."""
    trigger_price: Decimal | None = None
    partial: bool = False
    """Of an order that the venue made to protect a position: it covers a fixed part of it, and does not follow it."""


class FillReport(_Update, frozen=True, kw_only=True, tag="fill"):
    """One execution. `fee` is positive when paid. `venue_sequence` orders executions of about the same time, whatever
    the venue's clock says; 0: it told none. `other_fees` are what was taken in other currencies than `fee_currency`, by
    currency, where there was such. `worth` is what the venue says that it was worth in the settlement currency; unset:
    price times quantity."""

    execution_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    executed_ns: int
    venue_sequence: int = 0
    fill_kind: FillKind = FillKind.TRADE
    maker: bool | None = None
    position_side: PositionSide = PositionSide.NET
    other_fees: dict[str, Decimal] | msgspec.UnsetType = msgspec.UNSET
    role: Role = Role.NONE
    """What the venue made its order for."""
    worth: Decimal | msgspec.UnsetType = msgspec.UNSET
    order_quantity: Decimal | msgspec.UnsetType = msgspec.UNSET
    """Of the whole order as it stood then, in the instrument's unit, where the venue tells it."""
    order_executed: Decimal = Decimal(0)
    """Of that, with this execution."""

    @property
    def fees(self) -> dict[str, Decimal]:
        """Everything that was taken, by currency; without those of nothing."""
        other = {} if self.other_fees is msgspec.UNSET else self.other_fees
        return {currency: fee for currency, fee in ((self.fee_currency, self.fee), *other.items()) if fee}

    @property
    def value(self) -> Decimal:
        """What it was worth, in the currency that settles the instrument."""
        return self.instrument.value(self.quantity, self.price) if self.worth is msgspec.UNSET else self.worth

    @property
    def change(self) -> Decimal:
        """What it does to the size of its position, signed. Spot fees that are paid in what the pair buys and sells are
        gone from what is held."""
        paid = [fee for currency, fee in self.fees.items() if self.instrument.is_base(currency)]
        return self.side.sign * self.quantity - sum(paid)

    @property
    def orderless(self) -> bool:
        """Whether no order caused it: a payment, or a settlement, whose own id stands where an order's would."""
        if self.fill_kind is FillKind.TRADE:
            return False
        return self.fill_kind is FillKind.FUNDING or self.venue_order_id == self.execution_id


ID_CONFLICT = "CLIENT_ORDER_ID_CONFLICT"
"""Code of a refusal: the venue has another order under our client order id; its venue's id is the outcome's."""


class CallOutcome(_Update, frozen=True, kw_only=True, tag="outcome"):
    """What came of a call of ours. `client_order_id` is the order's id. Times are ours, nanoseconds UTC. `batch` is the
    order's place in a call about several, such as `2 of 5`; unset: the call was about this order only."""

    call: Call
    result: Result
    code: str = ""
    sentence: str = ""
    attempts: int = 0
    sent_ns: int = 0
    replied_ns: int = 0
    command_id: str = ""
    batch: str | msgspec.UnsetType = msgspec.UNSET


class CancelRequested(_Update, frozen=True, kw_only=True, tag="cancel_requested"):
    """Somebody wants the order gone, or changed; written before the venue is asked."""

    command_id: str
    reason: str
    replace: bool = False
    """What is left of it is wanted again."""
    amend: bool = False
    """Only other terms are wanted. `replace` stands beside it, for who has never heard of this field."""


class Absence(_Update, frozen=True, kw_only=True, tag="absence"):
    """The venue does not know the order: found under the design's conditions, by `passes` full passes.

    `known_until_ns` is the time of the last update that the conclusion knew of: what came in between refutes it.
    """

    conclusion: Result | None
    closed_unknown: bool
    passes: int
    sentence: str
    known_until_ns: int = 0


Update = OrderReport | FillReport | CallOutcome | CancelRequested | Absence

_decoder = msgspec.json.Decoder(Update)
_encoder = msgspec.json.Encoder()


def encode_update(update: Update) -> bytes:
    """The record's value."""
    return _encoder.encode(update)


def decode_update(value: bytes | None) -> Update:
    """Read a record's value. Raises `InvalidInput` with the reason when it is not an update (requirement J05)."""
    if value is None:
        raise InvalidInput("BAD_UPDATE", ["the record has no value"])
    try:
        update: Update = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("BAD_UPDATE", [str(error)]) from error
    reasons = [f"{name}: {figure} is not a usable number" for name, figure in _figures(update) if not _usable(figure)]
    if not update.instrument.symbol:
        reasons.append("instrument.symbol: empty")
    if not (update.client_order_id or update.venue_order_id):
        reasons.append("client_order_id, venue_order_id: one of them must name the order")
    if reasons:
        raise InvalidInput("BAD_UPDATE", reasons)
    return update


def _usable(figure: Decimal) -> bool:
    """Finite, and within what the venues' grids can produce; a huge exponent must not reach arithmetic."""
    if not figure.is_finite():
        return False
    return len(figure.as_tuple().digits) <= 50 and (figure == 0 or -30 <= figure.adjusted() <= 30)


def _figures(update: Update) -> list[tuple[str, Decimal]]:
    if isinstance(update, FillReport):
        other = {} if update.other_fees is msgspec.UNSET else update.other_fees
        worth = [] if update.worth is msgspec.UNSET else [("worth", update.worth)]
        whole = [] if update.order_quantity is msgspec.UNSET else [("order_quantity", update.order_quantity)]
        return [
            *(("price", update.price), ("quantity", update.quantity), ("fee", update.fee), *worth, *whole),
            ("order_executed", update.order_executed),
            *((f"other_fees.{currency}", fee) for currency, fee in other.items()),
        ]
    if isinstance(update, OrderReport):
        optional = (("price", update.price), ("trigger_price", update.trigger_price))
        return [
            *((name, figure) for name, figure in optional if figure is not None),
            ("quantity", update.quantity),
            ("cumulative.quantity", update.cumulative.quantity),
            ("cumulative.value", update.cumulative.value),
            *((f"cumulative.fees.{currency}", fee) for currency, fee in update.cumulative.fees.items()),
        ]
    return []
