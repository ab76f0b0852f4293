"""What the venue has and this exchange has not: questions about it get an empty answer in the venue's shape.

Clients ask some of these when they start, and others in passing; an answer of the right shape with nothing in it is the
truth here. Calls that would change such a thing (a withdrawal, a loan) are refused: a wish is never dropped in silence.
Shapes: Bybit v5 documentation, each endpoint's page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exchanges.paper.fields import Fields, text
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue

Serve = Callable[[PaperVenue, int, Fields], Row]

_PAGE: Final[Row] = {"list": [], "nextPageCursor": ""}
_ROWS: Final[Row] = {"rows": [], "nextPageCursor": ""}
_LIST: Final[Row] = {"list": []}


def _fixed(answer: Row) -> Serve:
    return lambda _venue, _uid, _fields: answer


def _by_category(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    return {"category": text(fields, "category"), "list": [], "nextPageCursor": ""}


def _of_coin(**rest: object) -> Serve:
    """An answer that names the coin or currency that was asked for."""

    def serve(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
        name = "currency" if "currency" in fields else "coin"
        return {name: text(fields, name)} | rest

    return serve


def refused(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    """A wish that this exchange cannot fulfil."""
    raise bad_parameter("Not supported by this exchange")


# By path below /v5/, without a signature.
PUBLIC: Final[dict[str, Serve]] = {
    "announcements/index": _fixed({"total": 0, "list": []}),
    "market/account-ratio": _fixed(_PAGE),
    "market/adlAlert": _fixed({"updatedTime": "0", "list": []}),
    "market/delivery-price": _by_category,
    "market/fee-group-info": _fixed(_LIST),
    "market/insurance": _fixed({"updatedTime": "0", "list": []}),
    "market/new-delivery-price": _by_category,
    "spot-lever-token/info": _fixed(_LIST),
    "spot-lever-token/reference": _fixed({}),
    "spot-margin-trade/collateral": _fixed(_LIST),
    "spot-margin-trade/coinstate": _fixed(_LIST),
    "spot-margin-trade/position-tiers": _fixed(_LIST),
    "spot-margin-trade/currency-data": _fixed(_LIST),
    "spot-cross-margin-trade/data": _fixed({"vipCoinList": []}),
    "spot-cross-margin-trade/pledge-token": _fixed(_LIST),
    "spot-cross-margin-trade/borrow-token": _fixed(_LIST),
    "crypto-loan-common/loanable-data": _fixed(_LIST),
    "crypto-loan-common/collateral-data": _fixed({"collateralRatioConfigList": [], "currencyLiquidationList": []}),
    "earn/product": _fixed(_LIST),
    "ins-loan/product-infos": _fixed({"marginProductInfo": []}),
}

# By path below /v5/, signed.
PRIVATE: Final[dict[str, Serve]] = {
    "account/borrow-history": _fixed(_PAGE),
    "account/contract-transaction-log": _fixed(_PAGE),
    "account/mmp-state": _fixed({"result": []}),
    "account/option-asset-info": _fixed({"result": []}),
    "account/smp-group": _fixed({"smpGroup": 0}),
    "account/user-setting-config": _fixed({"lpaSpot": False, "lpaPerp": False, "smsef": False, "fmsef": False}),
    "asset/coin-greeks": _fixed(_LIST),
    "asset/delivery-record": _by_category,
    "asset/settlement-record": _by_category,
    "asset/deposit/query-address": _of_coin(chains=[]),
    "asset/deposit/query-allowed-list": _fixed({"configList": [], "nextPageCursor": ""}),
    "asset/deposit/query-internal-record": _fixed(_ROWS),
    "asset/deposit/query-record": _fixed(_ROWS),
    "asset/deposit/query-sub-member-address": _of_coin(chains=[]),
    "asset/deposit/query-sub-member-record": _fixed(_ROWS),
    "asset/exchange/query-coin-list": _fixed({"coins": []}),
    "apilimit/query-all": _fixed(_PAGE),
    "apilimit/query-cap": _fixed(_LIST),
    "asset/covert/small-balance-history": _fixed(
        {"cursor": "", "size": "0", "lastPage": "0", "totalCount": "0", "records": []}
    ),
    "asset/covert/small-balance-list": _fixed({"smallAssetCoins": [], "supportToCoins": []}),
    "asset/exchange/convert-result-query": _fixed({"result": {}}),
    "asset/exchange/query-convert-history": _fixed(_LIST),
    "asset/exchange/order-record": _fixed({"orderBody": [], "nextPageCursor": ""}),
    "asset/fundinghistory": _fixed(_PAGE),
    "asset/transfer/query-inter-transfer-list": _fixed(_PAGE),
    "asset/transfer/query-sub-member-list": _fixed({"subMemberIds": [], "transferableSubMemberIds": []}),
    "asset/transfer/query-universal-transfer-list": _fixed(_PAGE),
    "asset/withdraw/query-address": _fixed(_ROWS),
    "asset/withdraw/query-record": _fixed(_ROWS),
    "asset/withdraw/vasp/list": _fixed({"vasp": []}),
    "position/get-closed-positions": _by_category,
    "position/move-history": _fixed(_PAGE),
    "pre-upgrade/account/transaction-log": _fixed(_PAGE),
    "pre-upgrade/asset/delivery-record": _by_category,
    "pre-upgrade/asset/settlement-record": _by_category,
    "pre-upgrade/execution/list": _by_category,
    "pre-upgrade/order/history": _by_category,
    "pre-upgrade/position/closed-pnl": _by_category,
    "spot-cross-margin-trade/account": _fixed(
        {"status": "2", "riskRate": "0", "acctBalanceSum": "0", "debtBalanceSum": "0", "loanAccountList": []}
    ),
    "spot-cross-margin-trade/loan-info": _of_coin(interestRate="0", loanAbleAmount="0", maxLoanAmount="0"),
    "spot-cross-margin-trade/orders": _fixed(_LIST),
    "spot-cross-margin-trade/repay-history": _fixed(_LIST),
    "spot-lever-token/order-record": _fixed(_LIST),
    "spot-margin-trade/get-auto-repay-mode": _fixed({"data": []}),
    "spot-margin-trade/interest-rate-history": _fixed(_LIST),
    "spot-margin-trade/max-borrowable": _of_coin(maxLoan="0"),
    "spot-margin-trade/repayment-available-amount": _of_coin(lossLessRepaymentAmount="0"),
    "spot-margin-trade/state": _fixed({"spotLeverage": "", "spotMarginMode": "0", "effectiveLeverage": "0"}),
    "user/escrow_sub_members": _fixed({"subMembers": [], "nextCursor": ""}),
    "user/invitation/referrals": _fixed({"records": [], "nextCursor": ""}),
    "user/query-sub-members": _fixed({"subMembers": []}),
    "user/sub-apikeys": _fixed({"result": [], "nextPageCursor": ""}),
    "user/submembers": _fixed({"subMembers": [], "nextCursor": "0"}),
}

# By path below /v5/: calls that ask for a deed.
REFUSED: Final = (
    "apilimit/set", "asset/covert/get-quote", "asset/covert/small-balance-execute",
    "account/borrow", "account/demo-apply-money", "account/mmp-modify", "account/mmp-reset",
    "account/no-convert-repay", "account/quick-repayment", "account/repay", "account/set-collateral-switch",
    "account/set-collateral-switch-batch", "account/set-delta-mode", "account/set-hedging-mode",
    "account/set-limit-px-action", "account/upgrade-to-uta",
    "asset/deposit/deposit-to-account", "asset/exchange/quote-apply", "asset/exchange/convert-execute",
    "asset/transfer/inter-transfer", "asset/transfer/save-transfer-sub-member", "asset/transfer/universal-transfer",
    "asset/withdraw/cancel", "asset/withdraw/create",
    "position/add-margin", "position/confirm-pending-mmr", "position/move-positions",
    "spot-cross-margin-trade/loan", "spot-cross-margin-trade/repay", "spot-cross-margin-trade/switch",
    "spot-lever-token/purchase", "spot-lever-token/redeem",
    "spot-margin-trade/set-auto-repay-mode", "spot-margin-trade/set-leverage", "spot-margin-trade/switch-mode",
    "user/agreement", "user/create-sub-api", "user/create-sub-member", "user/del-submember", "user/delete-api",
    "user/delete-sub-api", "user/frozen-sub-member", "user/update-api", "user/update-sub-api",
)  # fmt: skip
