"""Several orders in one call: what is asked, and that each of them ends in one outcome, whatever the reply (X03)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import odd_venue
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_venue import OddVenue, Respond, envelope, http

from domain.errors import InvalidInput, NotAccepted, RateLimited, RefusedByAccount, Uncertain, VenueError
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from domain.updates import Call
from exchanges.bybit.batches import Item, outcomes_of
from exchanges.bybit.errors import ANSWERS, CallKind, venue_error
from exchanges.bybit.options import RateLimits
from exchanges.bybit.trading import BybitTrading
from exchanges.rate_limit import Rate
from exchanges.venue import NewOrder, OrderRef

MakeAdapter = Callable[..., BybitTrading]
Rows = list[dict[str, Any]]

ETH = Instrument("bybit", "linear", "ETHUSDT")
SPOT = Instrument("bybit", "spot", "ETHUSDT")


def new_order(order_id: str, instrument: Instrument = ETH) -> NewOrder:
    terms = (Side.BUY, OrderType.LIMIT, Decimal("1.5"), Decimal("2500.5"), TimeInForce.GTC)
    return NewOrder(instrument, order_id, *terms)


ORDERS = [new_order(order_id) for order_id in ("om1", "om2", "om3")]
REFS = [OrderRef(ETH, "om1", "v1"), OrderRef(ETH, "om2"), OrderRef(ETH, "", "v3")]
CALLS: dict[str, Callable[[BybitTrading], Any]] = {
    "create": lambda trading: trading.create_batch(ORDERS),
    "cancel": lambda trading: trading.cancel_batch(REFS),
}
batch = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"category": "linear", "symbol": "ETHUSDT", "orderId": f"v{number}", "orderLinkId": f"om{number}"} | changes


def reply(rows: Rows, verdicts: Rows | None = None, **headers: str) -> Respond:
    """A batch's envelope; without verdicts every row was taken."""
    verdicts = [{"code": 0, "msg": "OK"} for _ in rows] if verdicts is None else verdicts
    body = json.loads(envelope({"list": rows})) | {"retExtInfo": {"list": verdicts}}
    return http(json.dumps(body).encode(), headers=headers)


def verdict(code: int) -> dict[str, Any]:
    return {"code": code, "msg": "no"}


# -- what is asked ---------------------------------------------------------------------------------------------------


async def test_x03_orders_of_a_batch_are_asked_for_as_each_would_be_alone(adapter: MakeAdapter) -> None:
    async with OddVenue(reply([row(1), row(2), row(3)])) as venue:
        taken = await adapter(venue.url).create_batch(ORDERS)

    assert taken == ["v1", "v2", "v3"]
    (received,) = venue.received
    body = json.loads(received.body)
    assert (received.target, body["category"]) == ("/v5/order/create-batch", "linear")
    assert body["request"][1] == {
        "symbol": "ETHUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "1.5",
        "price": "2500.5",
        "timeInForce": "GTC",
        "orderLinkId": "om2",
        "positionIdx": 0,
        "reduceOnly": False,
    }


async def test_x03_orders_of_a_cancel_batch_are_named_by_the_venues_id_where_it_is_known(adapter: MakeAdapter) -> None:
    async with OddVenue(reply([row(1), row(2), row(3, orderLinkId="")])) as venue:
        outcomes = await adapter(venue.url).cancel_batch(REFS)

    assert outcomes == [None, None, None]
    (received,) = venue.received
    assert received.target == "/v5/order/cancel-batch"
    assert json.loads(received.body)["request"] == [
        {"symbol": "ETHUSDT", "orderId": "v1"},
        {"symbol": "ETHUSDT", "orderLinkId": "om2"},
        {"symbol": "ETHUSDT", "orderId": "v3"},
    ]


@pytest.mark.parametrize(
    ("instrument", "most"), [(ETH, 20), (SPOT, 10), (Instrument("bybit", "inverse", "ETHUSD"), 20)]
)
async def test_x03_no_batch_is_larger_than_the_venue_takes(
    adapter: MakeAdapter, instrument: Instrument, most: int
) -> None:
    trading = adapter("http://venue.invalid")
    assert trading.traits.batch_sizes[instrument.category] == most
    with pytest.raises(InvalidInput, match="BAD_BATCH"):
        await trading.create_batch([new_order(f"om{number}", instrument) for number in range(most + 1)])


async def test_x03_a_batch_is_of_one_category(adapter: MakeAdapter) -> None:
    with pytest.raises(InvalidInput, match="BAD_BATCH"):
        await adapter("http://venue.invalid").create_batch([new_order("om1"), new_order("om2", SPOT)])


# -- the whole -------------------------------------------------------------------------------------------------------


@batch
@pytest.mark.parametrize(
    "respond",
    [
        odd_venue.silence,
        odd_venue.hang_up,
        odd_venue.reset,
        odd_venue.half_a_reply,
        odd_venue.garbage,
        http(b"", status=502),
        http(envelope(code=10016)),
        http(envelope(code=987_654)),
        http(envelope({"list": []})),
        http(envelope()),
        reply([]),
        reply([row(1), row(2), row(3)], [verdict(0), verdict(0)]),
        reply([row(1), row(2), row(3)], ["no object"] * 3),  # type: ignore[list-item]  # as the wire may have it
    ],
)
async def test_x06_a_batch_whose_reply_is_lost_or_tells_nothing_leaves_every_order_uncertain(
    adapter: MakeAdapter, call: Callable[[BybitTrading], Any], respond: Respond
) -> None:
    async with OddVenue(respond) as venue:
        outcomes = await call(adapter(venue.url))
        assert len(venue.received) == 1

    assert [type(outcome) for outcome in outcomes] == [Uncertain] * 3


@batch
async def test_x04_a_batch_that_never_left_was_surely_not_accepted(
    adapter: MakeAdapter, call: Callable[[BybitTrading], Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert [type(outcome) for outcome in await call(adapter(url))] == [NotAccepted] * 3


@batch
@pytest.mark.parametrize(("code", "kind"), [(10006, RateLimited), (10002, NotAccepted), (10003, RefusedByAccount)])
async def test_x04_an_error_of_the_whole_is_that_of_each(
    adapter: MakeAdapter, call: Callable[[BybitTrading], Any], code: int, kind: type[VenueError]
) -> None:
    async with OddVenue(http(envelope(code=code, message="no"))) as venue:
        outcomes = await call(adapter(venue.url))

    assert [type(outcome) for outcome in outcomes] == [kind] * 3


# -- each ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [*ANSWERS, 987_654])
async def test_x04_a_code_means_for_an_order_of_a_batch_what_it_means_for_one_alone(code: int) -> None:
    items = [Item({}, frozenset({f"om{number}"})) for number in (1, 2)]

    for kind in (CallKind.CREATE, CallKind.CANCEL):
        alone = venue_error(kind, code, "no")
        taken, outcome = outcomes_of(
            {"list": [row(1), row(2, orderId="v2")]},
            {"list": [verdict(0), verdict(code)]},
            items,
            lambda code, message, kind=kind: venue_error(kind, code, str(message)),  # type: ignore[misc]  # a default
            names_new=kind is CallKind.CREATE,
        )
        assert taken == "v1"
        assert (type(outcome), str(outcome)) == ((type(alone), str(alone)) if alone else (str, "v2"))


async def test_x03_each_order_of_a_batch_stands_or_falls_alone(adapter: MakeAdapter) -> None:
    rows = [row(1), row(2, orderId=""), row(3, orderId="")]
    async with OddVenue(reply(rows, [verdict(0), verdict(110007), verdict(110072)])) as venue:
        outcomes = await adapter(venue.url).create_batch(ORDERS)

    assert [str(outcome).partition(":")[0] for outcome in outcomes] == [
        "v1",
        "INSUFFICIENT_BALANCE",
        "DUPLICATE_CLIENT_ORDER_ID",
    ]


@pytest.mark.parametrize(
    ("rows", "uncertain"),
    [
        ([row(1), row(3)], [2]),
        ([row(1), row(2), row(2), row(3)], [2]),
        ([row(1), row(2), row(3), row(9)], []),
        ([row(3), row(2), row(1)], []),
        ([row(1), row(2), row(9)], [3]),
        ([row(1), row(2, orderId=""), row(3)], [2]),
        ([row(1), row(2, orderId=None, orderLinkId=7), row(3)], [2]),
    ],
    ids=["missing", "twice", "a stranger's", "another order", "a stranger instead", "no id", "unreadable ids"],
)
async def test_x06_an_order_of_which_a_reply_says_nothing_or_too_much_is_uncertain(
    adapter: MakeAdapter, rows: Rows, uncertain: list[int]
) -> None:
    async with OddVenue(reply(rows)) as venue:
        outcomes = await adapter(venue.url).create_batch(ORDERS)

    for number, outcome in enumerate(outcomes, start=1):
        assert isinstance(outcome, Uncertain) if number in uncertain else outcome == f"v{number}"


async def test_x04_a_refused_order_that_the_reply_does_not_name_is_the_one_at_its_place(adapter: MakeAdapter) -> None:
    rows = [row(1), {"orderId": "", "orderLinkId": ""}, row(3)]
    async with OddVenue(reply(rows, [verdict(0), verdict(110007), verdict(0)])) as venue:
        outcomes = await adapter(venue.url).create_batch(ORDERS)

    assert (outcomes[0], outcomes[2]) == ("v1", "v3")
    assert "INSUFFICIENT_BALANCE" in str(outcomes[1])


NAMES = st.sampled_from(["om1", "om2", "om3", "om9", "", None, 7])
IDS = st.sampled_from(["v1", "v2", "v3", "", None])
ROWS = st.lists(st.fixed_dictionaries({"orderLinkId": NAMES, "orderId": IDS}), max_size=5)
VERDICTS = st.lists(st.fixed_dictionaries({"code": st.sampled_from([0, 110007, 10006, 10016, "0", None])}), max_size=5)


@given(rows=ROWS, verdicts=VERDICTS, creating=st.booleans())
def test_x06_whatever_the_reply_each_order_has_one_outcome_and_none_is_taken_for_another(
    rows: Rows, verdicts: Rows, creating: bool
) -> None:
    items = [Item({}, frozenset({f"om{number}", f"v{number}"})) for number in (1, 2, 3)]
    kind = CallKind.CREATE if creating else CallKind.CANCEL

    outcomes = outcomes_of(
        {"list": rows},
        {"list": verdicts},
        items,
        lambda code, text: venue_error(kind, code, str(text)),
        names_new=creating,
    )

    assert len(outcomes) == 3
    for number, outcome in enumerate(outcomes, start=1):
        own = [
            (place, each)
            for place, each in enumerate(rows)
            if each["orderLinkId"] == f"om{number}"
            or each["orderId"] == f"v{number}"
            or (len(rows) == 3 and place == number - 1 and not _names(each))
        ]
        if isinstance(outcome, Uncertain) and outcome.code == "UNREADABLE_REPLY":
            continue
        ((place, _),) = own  # nothing is concluded but from the one row that is about the order
        code = verdicts[place]["code"]
        assert isinstance(outcome, str) is (code == 0)


def _names(each: dict[str, Any]) -> bool:
    return any(isinstance(name, str) and name for name in each.values())


# -- rates -----------------------------------------------------------------------------------------------------------


async def test_x07_a_batch_takes_a_token_for_each_order_and_no_more_than_there_are(adapter: MakeAdapter) -> None:
    rate = Rate(per_s=5, burst=5)
    trading = adapter("http://venue.invalid", rate_limits=RateLimits(create=rate, cancel=rate))

    assert await trading.admit(Call.CANCEL, 3) == 3
    assert await trading.admit(Call.CANCEL, 10) == 2
    assert await trading.admit(Call.CREATE) == 1
    assert await trading.admit(Call.CREATE, 10) == 4


async def test_x07_orders_of_a_batch_that_were_too_many_hold_the_next_ones_back(adapter: MakeAdapter) -> None:
    rows, verdicts = [row(1), row(2, orderId=""), row(3, orderId="")], [verdict(0), verdict(10006), verdict(10006)]
    async with OddVenue(reply(rows, verdicts, **{"Retry-After": "2"})) as venue:
        trading = adapter(venue.url)
        outcomes = await trading.create_batch(ORDERS)

    assert outcomes[0] == "v1"
    assert [type(outcome) for outcome in outcomes[1:]] == [RateLimited, RateLimited]
    assert isinstance(outcomes[1], RateLimited)
    assert outcomes[1].retry_after_s == 2
    assert trading._limiter.bucket("create").take_more(1) == 0  # private: what the next create would meet


async def test_x07_a_batchs_own_limit_is_not_taken_for_that_of_single_orders(adapter: MakeAdapter) -> None:
    headers = {"X-Bapi-Limit": "2", "X-Bapi-Limit-Status": "1"}
    async with OddVenue(reply([row(1), row(2), row(3)], **headers)) as venue:
        trading = adapter(venue.url)
        await trading.create_batch(ORDERS)

    assert trading._limiter.bucket("create").tokens == 1  # private, as above: what is left is the venue's count
    assert trading._limiter.bucket("create")._capacity == 10
