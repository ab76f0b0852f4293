"""The questions about an account as such: who it is, what it may do, what it owns, what it pays."""

from __future__ import annotations

from typing import Final

from exchanges.paper.admission import category_of, instrument_of
from exchanges.paper.exact import exactly, plain
from exchanges.paper.fields import Fields, text
from exchanges.paper.instruments import COINS, LISTED
from exchanges.paper.market_questions import LAUNCHED_MS
from exchanges.paper.paging import any_category
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.rows import wallet_row
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category

UNIFIED: Final = "UNIFIED"
FUNDING_ACCOUNT: Final = "FUND"  # exists and holds nothing: there are no transfers here
PERMISSIONS: Final[dict[str, list[str]]] = {
    "ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Wallet": [], "Options": [],
    "Derivatives": ["DerivativesTrade"], "CopyTrading": [], "BlockTrade": [], "Exchange": [], "NFT": [],
    "Affiliate": [], "Earn": [],
}  # fmt: skip


# -- what it owns ----------------------------------------------------------------------------------------------------


@exactly
def wallet_balance(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """The unified account; `coin` narrows it down to some coins."""
    if text(fields, "accountType") not in {UNIFIED, ""}:
        raise bad_parameter("accountType only support UNIFIED.")
    row = wallet_row(venue.accounts[uid], venue.mark_price)
    wanted = text(fields, "coin")
    if wanted:
        row["coin"] = [coin for coin in _coins_of(row) if coin["coin"] in wanted.split(",")]
    return {"list": [row]}


def _coins_of(row: Row) -> list[Row]:
    coins = row["coin"]
    return coins if isinstance(coins, list) else []


@exactly
def _holdings(venue: PaperVenue, uid: int, account_type: str) -> dict[str, str]:
    """The balance of each coin of a wallet, zeros included."""
    if account_type == FUNDING_ACCOUNT:
        return dict.fromkeys(coins_listed(), "0")
    if account_type not in {UNIFIED, ""}:
        raise bad_parameter("accountType invalid")
    row = wallet_row(venue.accounts[uid], venue.mark_price)
    return dict.fromkeys(coins_listed(), "0") | {
        str(coin["coin"]): str(coin["walletBalance"]) for coin in _coins_of(row)
    }


def coin_balances(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """`asset/transfer/query-account-coins-balance`. Of the unified account nothing can be transferred here."""
    account_type = text(fields, "accountType")
    wanted = text(fields, "coin").split(",") if text(fields, "coin") else None
    balances = [
        {"coin": coin, "transferBalance": "0", "walletBalance": balance, "bonus": ""}
        for coin, balance in _holdings(venue, uid, account_type).items()
        if wanted is None or coin in wanted
    ]
    return {"memberId": str(uid), "accountType": account_type, "balance": balances}


def coin_balance(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """`asset/transfer/query-account-coin-balance`: one coin."""
    account_type, coin = text(fields, "accountType"), text(fields, "coin")
    balance = _holdings(venue, uid, account_type).get(coin)
    if balance is None:
        raise bad_parameter("coin invalid")
    shown = {
        "coin": coin, "walletBalance": balance, "transferBalance": "0", "bonus": "", "transferSafeAmount": "",
        "ltvTransferSafeAmount": "",
    }  # fmt: skip
    return {"accountType": account_type, "bizType": 1, "accountId": str(uid), "memberId": str(uid), "balance": shown}


def asset_overview(venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    row = wallet_row(venue.accounts[uid], venue.mark_price)
    details = [{"coin": coin["coin"], "equity": coin["equity"]} for coin in _coins_of(row)]
    account = {
        "accountType": "UnifiedTradingAccount", "totalEquity": row["totalEquity"], "valuationCurrency": "USD",
        "coinDetail": details,
    }  # fmt: skip
    return {"totalEquity": row["totalEquity"], "list": [account]}


def spot_asset_info(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    """Of the spot account of the time before the unified one."""
    return {"spot": {"status": "ACCOUNT_STATUS_NORMAL", "assets": []}}


def transferable_amount(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """Nothing leaves this exchange."""
    names = text(fields, "coinName").split(",")
    return {"availableWithdrawal": "0", "availableWithdrawalMap": {name: "0" for name in names if name}}


def withdrawable_amount(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    nothing = {"coin": text(fields, "coin"), "withdrawableAmount": "0", "availableBalance": "0"}
    return {"limitAmountUsd": "0", "withdrawableAmount": {"FUND": nothing, "UTA": nothing}}


def transfer_coins(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    return {"list": []}


def collateral_info(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """Which coins count as margin. Nothing is lent here."""
    wanted = text(fields, "currency")
    rows = [
        {
            "currency": coin, "hourlyBorrowRate": "0", "maxBorrowingAmount": "0", "freeBorrowingLimit": "0",
            "freeBorrowAmount": "0", "freeBorrowingAmount": "", "borrowAmount": "0", "otherBorrowAmount": "0",
            "availableToBorrow": "0", "borrowable": False, "borrowUsageRate": "0", "marginCollateral": True,
            "collateralSwitch": True, "collateralRatio": "1",
        }
        for coin in coins_listed() if wanted in {"", coin}
    ]  # fmt: skip
    return {"list": rows}


def margin_rates(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """`spot-margin-trade/data`: what a loan would cost. There are none."""
    wanted = text(fields, "currency")
    rows = [
        {
            "borrowable": False, "collateralRatio": "1", "currency": coin, "hourlyBorrowRate": "0",
            "liquidationOrder": "0", "marginCollateral": True, "maxBorrowingAmount": "0",
        }
        for coin in coins_listed() if wanted in {"", coin}
    ]  # fmt: skip
    return {"vipCoinList": [{"list": rows, "vipLevel": "No VIP"}]}


def coins_listed() -> list[str]:
    """All coins that a listed instrument is made of."""
    return list(COINS)


def coin_info(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """The coins, each with a chain on which nothing can be paid in or out."""
    wanted = text(fields, "coin")
    return {"rows": [_coin_row(coin) for coin in coins_listed() if wanted in {"", coin}]}


def _coin_row(coin: str) -> Row:
    chain = {
        "chain": coin, "chainType": coin, "confirmation": "1", "withdrawFee": "", "depositMin": "0",
        "withdrawMin": "0", "chainDeposit": "0", "chainWithdraw": "0", "minAccuracy": "8",
        "withdrawPercentageFee": "0", "contractAddress": "", "safeConfirmNumber": "1", "withdrawMax": "0",
    }  # fmt: skip
    return {"name": coin, "coin": coin, "remainAmount": "0", "chains": [chain]}


# -- who it is, and what it may do -----------------------------------------------------------------------------------


def account_info(venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    window_s = venue.accounts[uid].settings.disconnect_cancel_s
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": LAUNCHED_MS,
        "unifiedMarginStatus": 6,
        "dcpStatus": "ON" if window_s else "OFF",
        "timeWindow": window_s,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def fee_rate(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """What one symbol costs, or all of a category."""
    category = any_category(fields, default=Category.LINEAR)
    listed = list(LISTED.get(category, {}))
    if text(fields, "symbol"):
        category_of(fields)
        listed = [instrument_of(fields).symbol]
    options = venue.options
    maker, taker = plain(options.maker_fee_rate), plain(options.taker_fee_rate)
    if category is Category.SPOT:
        maker, taker = plain(options.spot_maker_fee_rate), plain(options.spot_taker_fee_rate)
    rows = [{"symbol": symbol, "makerFeeRate": maker, "takerFeeRate": taker} for symbol in listed]
    return {"category": category, "list": rows}


def query_api(venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    pair = next(pair for pair in venue.options.keys if pair.uid == uid)
    return {
        "id": str(uid),
        "note": "paper exchange",
        "apiKey": pair.key,
        "readOnly": 0,
        "secret": "",
        "permissions": PERMISSIONS,
        "ips": ["*"],
        "type": 1,
        "deadlineDay": -1,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": "2020-03-30T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def member_type(_venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    return {"accounts": [{"uid": str(uid), "accountType": [FUNDING_ACCOUNT, UNIFIED]}]}


def dcp_info(venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    """Whether open orders go when the last stream that asked for it is gone."""
    window_s = venue.accounts[uid].settings.disconnect_cancel_s
    products = ("SPOT", "DERIVATIVES") if window_s else ()
    infos = [{"product": product, "dcpStatus": "ON", "timeWindow": str(window_s)} for product in products]
    return {"dcpInfos": infos}


def api_limits(venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    limits = venue.options.rate_limits
    rates = {"SPOT": limits.spot_orders_per_s, "DERIVATIVES": limits.orders_per_s}
    return {"list": [{"uids": str(uid), "bizType": kind, "rate": rate or 0} for kind, rate in rates.items()]}
