"""Whether the manager's positions are those that another program makes of the exchange's executions, figure by figure:
positions, every fill's figures, and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from position_recount import Place, Recount, recount
from scenario_set import Desk, Row

DEADLINE_S = 40.0


async def recounted(desk: Desk) -> dict[Place, Recount]:
    """Wait until the manager has every execution; then everything must agree. Returns the other program's positions."""
    [account] = (await desk.set.paper_get("/paper/books?only=executions"))["accounts"]
    positions, after = recount(account["executions"])

    async def all_there() -> dict[Place, Row] | None:
        ours = {_place(row): row for row in await desk.set.pages("/positions", limit=500)}
        counted = {place: ours[place]["fills"] if place in ours else 0 for place in positions}
        return ours if counted == {place: position.fills for place, position in positions.items()} else None

    ours = await desk.until(all_there, DEADLINE_S, f"all {len(after)} executions")
    differing = [words for place, position in positions.items() for words in _differences(place, position, ours[place])]
    assert not differing, "\n".join(differing)
    assert ours.keys() == positions.keys()
    await _fills_agree(desk, positions, after)
    await _snapshots_agree(desk, positions)
    return positions


def _place(row: Row) -> Place:
    return row["instrument"]["category"], row["instrument"]["symbol"], row["side"]


def _differences(place: Place, recounted: Recount, shown: Row) -> list[str]:
    pairs: dict[str, tuple[object, object]] = {
        "size": (recounted.size, Decimal(shown["size"])),
        "average entry": (recounted.entry, Decimal(shown["average_entry"])),
        "realised": (recounted.realised, Decimal(shown["realised"])),
        "funding": (recounted.funding, Decimal(shown["funding"])),
        "fees": (recounted.fees, _fees(shown["fees"])),
        "bought": (recounted.bought, Decimal(shown["bought"]["quantity"])),
        "bought value": (recounted.bought_value, Decimal(shown["bought"]["value"])),
        "sold": (recounted.sold, Decimal(shown["sold"]["quantity"])),
        "sold value": (recounted.sold_value, Decimal(shown["sold"]["value"])),
    }
    if shown["mark"] is not None:
        pairs["unrealised"] = recounted.unrealised(Decimal(shown["mark"])), Decimal(shown["unrealised"])
    return [f"{place}: {name} {right}, shown {ours}" for name, (right, ours) in pairs.items() if right != ours]


def _fees(shown: Mapping[str, str]) -> dict[str, Decimal]:
    return {coin: Decimal(fee) for coin, fee in shown.items() if Decimal(fee)}


async def _fills_agree(
    desk: Desk, positions: Mapping[Place, Recount], after: Mapping[str, tuple[Place, dict[str, Decimal]]]
) -> None:
    """The history of each position: every execution once, with the figures after it."""
    told: dict[str, tuple[Place, dict[str, Decimal]]] = {}
    for category, symbol in sorted({place[:2] for place in positions}):
        for row in await desk.set.pages(f"/positions/{symbol}/history", limit=500, category=category):
            figures = {name: Decimal(row["after"][name]) for name in ("size", "average_entry", "realised", "funding")}
            assert row["execution_id"] not in told
            told[row["execution_id"]] = (category, symbol, row["position_side"]), figures
    assert told.keys() == after.keys()
    wrong = [f"{name}: {after[name]}, shown {told[name]}" for name in after if told[name] != after[name]]
    assert not wrong, "\n".join(wrong[:5])


async def _snapshots_agree(desk: Desk, positions: Mapping[Place, Recount]) -> None:
    """The next picture of each open position."""
    for place, position in positions.items():
        if not position.size:
            continue

        def taken(place: Place = place, fills: int = position.fills) -> Row | None:
            pictures = [record.body for record in desk.told("position_snapshots", side=place[2])]
            mine = [picture for picture in pictures if picture is not None and _place(picture) == place]
            return mine[-1] if mine and mine[-1]["state"]["fills"] == fills else None

        picture = await desk.reader.until(taken, DEADLINE_S, f"a snapshot of {place}")
        state = picture["state"]
        shown = {
            **{name: state[name] for name in ("size", "average_entry", "realised", "funding", "fees")},
            "bought": {"quantity": state["bought"], "value": state["bought_value"]},
            "sold": {"quantity": state["sold"], "value": state["sold_value"]},
            "mark": picture["mark"],
            "unrealised": picture["unrealised"],
        }
        assert Decimal(state["cost"]) == position.cost
        assert not _differences(place, position, shown)
