"""Several orders in one call to Bybit v5: what the reply says of each.

The envelope's code says nothing of the orders: `result.list` names them and `retExtInfo.list` has a verdict for each,
in the same order. An order counts as accepted or refused only where exactly one row is about it. Of whatever the reply
does not tell, the outcome is unknown. Source: Bybit v5, "Batch Place Order", "Batch Cancel Order".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import InvalidInput, RateLimited, Uncertain, VenueError
from domain.updates import Call
from exchanges.bybit.errors import CallKind
from exchanges.bybit.rest import BybitRest

BATCH_SIZES: Mapping[str, int] = {"linear": 20, "inverse": 20, "spot": 10}
"""The most orders in one call, by category. Source: Bybit v5, "Batch Place Order"."""

_KINDS = {Call.CREATE: CallKind.CREATE, Call.CANCEL: CallKind.CANCEL}
Fields = Mapping[str, object]
Outcome = str | VenueError
Judge = Callable[[int, object], VenueError | None]


@dataclass(frozen=True, slots=True)
class Item:
    """One order of a batch: the body that a call of its own would have, and the ids that a reply may name it by."""

    body: Fields
    ids: frozenset[str]


async def ask(rest: BybitRest, call: Call, category: str, items: Sequence[Item]) -> list[Outcome]:
    """Ask for all of them, admitted before: the venue's order id of each that it accepted, else what is known of it.

    An error of the whole is that of each. Raises `InvalidInput` for a batch that the venue does not have.
    """
    if not 1 <= len(items) <= BATCH_SIZES.get(category, 0):
        raise InvalidInput("BAD_BATCH", [f"{len(items)} orders of {category} do not go into one call"])
    if any(item.body.get("category") != category for item in items):
        raise InvalidInput("BAD_BATCH", [f"not every order of the batch is one of {category}"])
    request = [{name: value for name, value in item.body.items() if name != "category"} for item in items]
    kind = _KINDS[call]
    body = {"category": category, "request": request}
    try:
        answered = await rest.post(f"/v5/order/{call.value}-batch", body, call=kind, bucket=call.value)
    except VenueError as error:
        return [error] * len(items)

    def judge(code: int, message: object) -> VenueError | None:
        return rest.error(kind, code, message, answered.retry_after_s)

    outcomes = outcomes_of(answered.result, answered.extra, items, judge, names_new=call is Call.CREATE)
    throttled = [each for each in outcomes if isinstance(each, RateLimited)]
    if throttled:
        rest.slow_down(throttled[0], call.value)
    return outcomes


def outcomes_of(
    result: Fields, extra: Fields, items: Sequence[Item], judge: Judge, *, names_new: bool
) -> list[Outcome]:
    """An outcome for each order: the venue's id where it took it. `judge` knows the codes; `names_new`: an order that
    was accepted must have an id."""
    rows, verdicts = _objects(result), _objects(extra)
    if rows is None or verdicts is None or len(rows) != len(verdicts):
        return [_untold("the reply to the batch does not have a verdict for each order")] * len(items)
    about: list[list[int]] = [[] for _ in items]
    for place, row in enumerate(rows):
        for number in _items_of(row, place, items, in_order=len(rows) == len(items)):
            about[number].append(place)
    return [
        _outcome(rows[places[0]], verdicts[places[0]], judge, names_new=names_new)
        if len(places) == 1
        else _untold(f"the reply to the batch has {len(places) or 'no'} verdicts on the order")
        for places in about
    ]


def _items_of(row: Fields, place: int, items: Sequence[Item], *, in_order: bool) -> list[int]:
    """Which orders a row is about: those it names; one that names none is about the order at its own place."""
    named = {name for name in (row.get("orderLinkId"), row.get("orderId")) if isinstance(name, str) and name}
    about = [number for number, item in enumerate(items) if named & item.ids]
    return [place] if in_order and not named else about


def _outcome(row: Fields, verdict: Fields, judge: Judge, *, names_new: bool) -> Outcome:
    code, order_id = verdict.get("code"), row.get("orderId")
    if isinstance(code, bool) or not isinstance(code, int):
        return _untold("the order's verdict in the batch has no code")
    error = None if code == 0 else judge(code, verdict.get("msg"))
    if error is not None:
        return error
    named = isinstance(order_id, str) and bool(order_id)
    if names_new and not named:
        return _untold("the venue accepted an order without saying that it is this one")
    return str(order_id) if named else ""


def _objects(fields: Fields) -> list[Fields] | None:
    """The objects of a `list`; None when there is no list, or something else is in it."""
    found = fields.get("list")
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else None


def _untold(sentence: str) -> Uncertain:
    return Uncertain("UNREADABLE_REPLY", sentence)
