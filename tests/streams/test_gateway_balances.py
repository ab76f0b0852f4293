"""Which balances a gateway shows of coins that have left the account: the venue lists none of them (R02, R03)."""

from __future__ import annotations

from decimal import Decimal

from gateway_room import Room

from domain.errors import Uncertain
from exchanges.venue import Balance, StreamEvent

BOTH = {"USDT": Decimal(1_000), "BTC": Decimal(2)}


def shown(room: Room) -> dict[str, str]:
    """What stands on the board, by coin."""
    return {balance.currency: str(balance.total) for balance in room.shown.balances}


async def test_r03_a_coin_that_a_whole_reply_leaves_out_is_told_as_nothing_and_goes_on_being_told() -> None:
    room = Room()
    room.venue.coins = dict(BOTH)
    async with room.at_work():
        before = shown(room)
        del room.venue.coins["BTC"]
        await room.clock.advance(6.0)
        after, last = shown(room), room.shown.balances[-1]
        await room.clock.advance(5.0)

        assert (before, after) == ({"USDT": "1000", "BTC": "2"}, {"USDT": "1000", "BTC": "0"})
        assert (last.currency, last.available) == ("BTC", 0)
        assert room.shown.balances[-1].at_ns > last.at_ns, "it stays known"


async def test_r03_a_coin_that_left_while_no_gateway_was_there_is_told_as_nothing_by_the_next_one() -> None:
    room = Room()
    gone = room.venue.balance("BTC", Decimal(2))
    of_another = Balance(account="other", currency="ETH", total=Decimal(3), available=Decimal(3), at_ns=gone.at_ns)
    room.told = [gone, room.venue.balance("USDT", Decimal(7)), of_another]

    async with room.at_work():
        assert shown(room) == {"USDT": "1000", "BTC": "0"}
        assert {balance.account for balance in room.shown.balances} == {"main"}


async def test_r03_a_coin_that_comes_back_is_told_with_what_is_there() -> None:
    room = Room()
    room.told = [room.venue.balance("BTC", Decimal(2))]
    async with room.at_work():
        gone = shown(room)
        await room.clock.advance(1.0)
        await room.wire.say(StreamEvent(balances=(room.venue.balance("BTC", Decimal(5)),)))
        room.venue.coins["BTC"] = Decimal(5)
        await room.clock.advance(6.0)

        assert (gone["BTC"], shown(room)["BTC"]) == ("0", "5")


async def test_r03_what_the_stream_told_after_the_question_is_not_taken_back_by_its_reply() -> None:
    room = Room()
    room.venue.ahead_ns = -1_000_000_000  # asked a second ago
    async with room.at_work():
        told = Balance(
            account="main", currency="BTC", total=Decimal(2), available=Decimal(2), at_ns=room.clock.now_ns()
        )
        room.venue.ahead_ns = -5_000_000_000
        await room.wire.say(StreamEvent(balances=(told,)))
        await room.clock.advance(4.0)

        assert shown(room)["BTC"] == "2"


async def test_r03_no_reply_and_one_without_the_account_say_nothing_of_any_coin() -> None:
    room = Room()
    room.venue.coins = dict(BOTH)
    async with room.at_work():
        room.venue.coins = {}
        await room.clock.advance(6.0)
        empty = shown(room)
        room.venue.away_now = Uncertain("NO_ANSWER", "away")
        await room.clock.advance(20.0)

        assert empty == shown(room) == {"USDT": "1000", "BTC": "2"}


async def test_r06_a_coin_that_is_gone_does_not_make_an_account_known_of_which_nothing_is_told() -> None:
    room = Room()
    room.told = [room.venue.balance("BTC", Decimal(2))]
    room.venue.tells_available = False
    async with room.at_work():
        assert {(each.currency, each.available_known) for each in room.shown.balances} == {
            ("USDT", False),
            ("BTC", False),
        }
