"""`verify` on spot: what the venue's wallet has of a position."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.verify.ledger import Ledger
from app.verify.venue_ledger import with_flat_positions


@pytest.mark.parametrize(("total", "size"), [("5", "2"), ("1.5", "1.5"), ("-3", "0")], ids=["more", "less", "borrowed"])
def test_a_wallet_has_no_more_of_a_position_than_it_owns_and_not_less_than_nothing(total: str, size: str) -> None:
    ours = Ledger("tables", positions={"spot/BTCUSDT/net": {"size": Decimal(2)}})
    venue = Ledger("venue", of_venue=True, wallet={"BTC": Decimal(total)})

    assert with_flat_positions(venue, ours).positions == {"spot/BTCUSDT/net": {"size": Decimal(size)}}
