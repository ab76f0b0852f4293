"""What Bybit's codes mean for a call of ours: the table as data, and the rule that reads it (requirement X04).

A code says what kind of answer it is; the kind and the call together say which error of ours it becomes. Meanings
are those of Bybit v5's error list; a code that is in no row leaves the outcome of a create unknown, because "refused"
would be a guess, and a wrong one costs a second order.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from domain.errors import (
    Duplicate,
    NotAccepted,
    NotFoundOrTooLate,
    RateLimited,
    Refused,
    RefusedByAccount,
    Uncertain,
    VenueError,
)


class CallKind(StrEnum):
    """What was asked of the venue."""

    CREATE = "create"
    AMEND = "amend"
    CANCEL = "cancel"
    READ = "read"

    @property
    def writes(self) -> bool:
        """Whether the call may have changed something although it failed."""
        return self is not CallKind.READ


class Answer(StrEnum):
    """Kinds of answers, by what follows from them."""

    THROTTLED = "throttled"
    CLOCK = "clock"
    UNCERTAIN = "uncertain"
    DUPLICATE = "duplicate"
    NOT_FOUND_OR_TOO_LATE = "not_found_or_too_late"
    FUNDS = "funds"
    PRICE_OR_QUANTITY = "price_or_quantity"
    REDUCE_ONLY = "reduce_only"
    LIMITS = "limits"
    ALREADY_SO = "already_so"
    CONFLICT = "conflict"
    PARAMETER = "parameter"
    ACCOUNT = "account"
    INSTRUMENT = "instrument"
    SPOT_REFUSED = "spot_refused"


_ROWS: dict[Answer, tuple[int, ...]] = {
    # Too many visits, for a user, an endpoint or an address: the request was not processed.
    Answer.THROTTLED: (10006, 10429, 20003, 10403, 170005, 170222, 429, 30035),
    # The time stamp is outside the receive window: not processed.
    Answer.CLOCK: (10002, -1),
    # Time-outs and troubles inside the venue; 170149 and 170150 are "failed" without saying whether before or after.
    Answer.UNCERTAIN: (
        *(10000, 10016, 10019, 170001, 170007, 170032, 500000, 170146, 170147, 170310, 110079, 170191),
        *(40004, 3400214, 170149, 170150),
    ),
    # The client order id (110072 futures, 170141 spot) or the request (10014, 20006) was seen before.
    Answer.DUPLICATE: (110072, 170141, 10014, 20006),
    # Ambiguous by design: finished, being finished, or never known.
    Answer.NOT_FOUND_OR_TOO_LATE: (110001, 170213, 110008, 110010, 170139, 170142, 170143, 170190),
    Answer.FUNDS: (110004, 110006, 110007, 110012, 110014, 110044, 110045, 110051, 110052, 110053, 170033, 170131),
    Answer.PRICE_OR_QUANTITY: (
        *(110003, 110022, 110032, 110064, 110092, 110093, 110094, 110108, 110109, 110118, 110120, 110121),
        *(170124, 170130, 170132, 170133, 170134, 170136, 170137, 170140, 170148, 170192, 170193, 170194),
        *(170195, 170196, 170197, 170198, 170199, 170200, 170201, 170202, 170203, 170204, 170313, 170371, 170372),
        *(170381, 170382, 30208, 30209),
    ),
    # 110017: what is left after reducing to the position is zero.
    Answer.REDUCE_ONLY: (110017, 110023, 110042, 30228, 110137),
    Answer.LIMITS: (
        *(110009, 110011, 110013, 110020, 110021, 110039, 110040, 110046, 110047, 110048, 110085, 110086, 110089),
        *(110090, 110131, 170228, 170229, 170341, 170810, 30256, 3400139),
    ),
    Answer.ALREADY_SO: (110025, 110026, 110027, 110043, 34040),
    Answer.CONFLICT: (110024, 110028, 110029, 110036, 110038, 110101, 170312),
    Answer.PARAMETER: (10001, 10017, 10404, 170105, 170115, 170116, 170117, 170121),
    Answer.ACCOUNT: (
        *(10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 10028, 100028, 33004, -2015, 20001),
        *(110066, 110068, 110088, 110123, 110124),
    ),
    # Of one instrument, be it that it is not live, in settlement or in an auction, or not for this user: others trade.
    Answer.INSTRUMENT: (
        *(10029, 110063, 110074, 110095, 110098, 110099, 110103, 110125, 110132),
        *(170151, 170157, 170159, 170344),
    ),
    Answer.SPOT_REFUSED: (170210, 170217, 170218),
}

ANSWERS: dict[int, Answer] = {code: answer for answer, codes in _ROWS.items() for code in codes}
"""Every code we know, and its kind."""

_REFUSALS = {
    Answer.FUNDS: "INSUFFICIENT_BALANCE",
    Answer.PRICE_OR_QUANTITY: "PRICE_OR_QUANTITY_REFUSED",
    Answer.REDUCE_ONLY: "REDUCE_ONLY_REFUSED",
    Answer.LIMITS: "VENUE_LIMIT",
    Answer.CONFLICT: "ACCOUNT_STATE_CONFLICT",
    Answer.PARAMETER: "BAD_REQUEST",
    Answer.INSTRUMENT: "INSTRUMENT_NOT_TRADABLE",
    Answer.SPOT_REFUSED: "REFUSED_BY_VENUE",
}
"""Permanent refusals of an order, and our code for each."""

RATE_LIMIT_CAP_S = 60.0
"""Longest wait that a reset header may ask of us; a ban of the address has its own."""

ADDRESS_BAN_S = 600.0
"""HTTP 403: the network address broke its limit and stays banned for at least ten minutes."""


def venue_error(call: CallKind, code: int, message: str, *, retry_after_s: float = 1.0) -> VenueError | None:
    """What `code`, which is not 0, says of the call. None = it is a success for this call.

    `message` is the venue's sentence. `retry_after_s` is what the reply's headers ask for.
    """
    answer = ANSWERS.get(code)
    text = str(code)
    sentence = f"{message or 'no message'} (venue code {code})"
    if answer is None:
        return _unknown(call, sentence, text)
    if answer in _REFUSALS:
        return Refused(_REFUSALS[answer], sentence, text)
    match answer:
        case Answer.THROTTLED:
            return RateLimited("RATE_LIMITED", sentence, text, retry_after_s=retry_after_s)
        case Answer.CLOCK:
            return NotAccepted("CLOCK_SKEW", sentence, text)
        case Answer.ACCOUNT:
            return RefusedByAccount("ACCOUNT_NOT_USABLE", sentence, text)
        case Answer.NOT_FOUND_OR_TOO_LATE if call is not CallKind.CREATE:
            return NotFoundOrTooLate("NOT_FOUND_OR_TOO_LATE", sentence, text)
        case Answer.DUPLICATE if call is CallKind.CREATE:
            return Duplicate("DUPLICATE_CLIENT_ORDER_ID", sentence, text)
        case Answer.ALREADY_SO if call is CallKind.AMEND:
            return None
        case _:
            return _unknown(call, sentence, text)


def _unknown(call: CallKind, sentence: str, code: str) -> VenueError:
    if call.writes:
        return Uncertain("OUTCOME_UNKNOWN", sentence, code)
    return NotAccepted("VENUE_TROUBLE", sentence, code)


def http_error(call: CallKind, status: int, excerpt: str, *, retry_after_s: float = 1.0) -> VenueError:
    """What an HTTP status other than a readable 200 says of the call. `excerpt` is the beginning of the body."""
    sentence = f"HTTP {status}: {excerpt or 'empty body'}"
    rows: dict[int, Callable[[], VenueError]] = {
        400: lambda: Refused("BAD_REQUEST", sentence, str(status)),
        401: lambda: RefusedByAccount("ACCOUNT_NOT_USABLE", sentence, str(status)),
        403: lambda: RateLimited("ADDRESS_BANNED", sentence, str(status), retry_after_s=ADDRESS_BAN_S),
        404: lambda: Refused("BAD_REQUEST", sentence, str(status)),
        429: lambda: RateLimited("RATE_LIMITED", sentence, str(status), retry_after_s=retry_after_s),
    }
    row = rows.get(status)
    return row() if row else _unknown(call, sentence, str(status))
