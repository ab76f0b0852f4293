"""Everything that can go wrong, in one tree. What is retried, what fails and what stays unknown follows from the class.

OrderManagerError
├── InvalidInput                  what we were given breaks a rule; names field, figure and limit
├── InvalidStateTransition        an order was asked to do what its state forbids
├── OrderNotFound                 no partition knows the order
└── VenueError                    what a venue, or the way to it, answered
    ├── Refused                   permanent: not accepted, and asking again would not help
    │   ├── Withheld              never asked: in a dry run nothing leaves
    │   ├── RefusedByAccount      keys, permissions, account mode: every order would be refused
    │   └── Duplicate             the client order id is known: look it up, it may be ours
    ├── NotAccepted               surely not accepted this time (no connection, clock): may be sent again
    │   └── RateLimited           not processed; wait as told
    ├── NotFoundOrTooLate         of a cancel or amend: gone, finished or never known; concludes nothing
    └── Uncertain                 may have been accepted: only the venue's evidence ends it
"""

from __future__ import annotations


class OrderManagerError(Exception):
    """Base of all our errors. `code` is stable and upper case, `sentence` is for people, figures are in it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class InvalidInput(OrderManagerError):  # noqa: N818 -- the field's words name these errors well without a suffix
    """What we were given breaks a rule. `reasons` has every one of them."""

    def __init__(self, code: str, reasons: list[str]) -> None:
        super().__init__(code, "; ".join(reasons))
        self.reasons = reasons


class InvalidStateTransition(OrderManagerError):  # noqa: N818 -- as above
    """An order was asked to go where its state does not lead (requirement O01)."""


class OrderNotFound(OrderManagerError):  # noqa: N818 -- as above
    """No partition knows the order."""


class VenueError(OrderManagerError):
    """What a venue, or the way to it, answered. `venue_code` is the venue's own code, as text."""

    def __init__(self, code: str, sentence: str, venue_code: str = "") -> None:
        super().__init__(code, sentence)
        self.venue_code = venue_code


class Refused(VenueError):  # noqa: N818 -- as above
    """Permanent: the venue did not accept it and would not, asked again."""


class Withheld(Refused):
    """Nobody was asked: in a dry run no order leaves (requirement X10)."""


class RefusedByAccount(Refused):
    """Keys, permissions or account mode: no order can be accepted until a person mends it."""


class Duplicate(Refused):
    """The venue knows the client order id already. It is ours only if symbol, side and quantity agree."""


class NotAccepted(VenueError):  # noqa: N818 -- as above
    """Surely not accepted this time: the same order may be sent again with the same id."""


class RateLimited(NotAccepted):
    """Not processed for its rate; `retry_after_s` is what the venue asks us to wait."""

    def __init__(self, code: str, sentence: str, venue_code: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(code, sentence, venue_code)
        self.retry_after_s = retry_after_s


class NotFoundOrTooLate(VenueError):  # noqa: N818 -- as above
    """A cancel or amend found no open order: finished, or never known. Read the order to learn which."""


class Uncertain(VenueError):  # noqa: N818 -- as above
    """It may have been accepted. Ask the venue; never conclude from this."""
