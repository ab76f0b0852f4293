"""Every row of the error table: the venue's code, the call, and what it means for us (requirement X04)."""

from __future__ import annotations

import pytest

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
from exchanges.bybit.errors import ANSWERS, Answer, CallKind, http_error, venue_error

CREATE, AMEND, CANCEL, READ = CallKind.CREATE, CallKind.AMEND, CallKind.CANCEL, CallKind.READ

EXPECTED: dict[str, tuple[type[VenueError] | None, str]] = {
    # kind of answer: (what a create makes of it, the codes), written down once more and independently of the table
    "throttled": (RateLimited, "10006 10429 20003 10403 170005 170222 429 30035"),
    "clock": (NotAccepted, "10002 -1"),
    "uncertain": (
        Uncertain,
        "10000 10016 10019 170001 170007 170032 500000 170146 170147 170310 110079 170191 40004 3400214 170149 170150",
    ),
    "duplicate": (Duplicate, "110072 170141 10014 20006"),
    "not found or too late": (Uncertain, "110001 170213 110008 110010 170139 170142 170143 170190"),
    "funds": (Refused, "110004 110006 110007 110012 110014 110044 110045 110051 110052 110053 170033 170131"),
    "price or quantity": (
        Refused,
        """110003 110022 110032 110064 110092 110093 110094 110108 110109 110118 110120 110121 170124 170130 170132
        170133 170134 170136 170137 170140 170148 170192 170193 170194 170195 170196 170197 170198 170199 170200 170201
        170202 170203 170204 170313 170371 170372 170381 170382 30208 30209""",
    ),
    "reduce only": (Refused, "110017 110023 110042 30228 110137"),
    "limits": (
        Refused,
        """110009 110011 110013 110020 110021 110039 110040 110046 110047 110048 110085 110086 110089 110090 110131
        170228 170229 170341 170810 30256 3400139""",
    ),
    "already so": (Uncertain, "110025 110026 110027 110043 34040"),
    "conflict": (Refused, "110024 110028 110029 110036 110038 110101 170312"),
    "parameter": (Refused, "10001 10017 10404 170105 170115 170116 170117 170121"),
    "account": (
        RefusedByAccount,
        """10003 10004 10005 10007 10008 10009 10010 10024 10027 10028 100028 33004 -2015 20001 110066 110068 110088
        110123 110124""",
    ),
    "one instrument": (
        Refused,
        "10029 110063 110074 110095 110098 110099 110103 110125 110132 170151 170157 170159 170344",
    ),
    "spot refusals": (Refused, "170210 170217 170218"),
}
CREATE_ROWS = [
    pytest.param(int(code), error, id=f"{kind} {code}")
    for kind, (error, codes) in EXPECTED.items()
    for code in codes.split()
]


def test_the_rows_below_are_all_there_are() -> None:
    assert {code for _, codes in EXPECTED.values() for code in map(int, codes.split())} == set(ANSWERS)


@pytest.mark.parametrize(("code", "expected"), CREATE_ROWS)
def test_what_a_code_means_for_a_create(code: int, expected: type[VenueError]) -> None:
    error = venue_error(CREATE, code, "the venue's words", retry_after_s=2.5)
    assert type(error) is expected
    assert error.venue_code == str(code)
    assert "the venue's words" in error.sentence


@pytest.mark.parametrize("code", sorted(ANSWERS))
def test_a_question_never_ends_uncertain(code: int) -> None:
    assert not isinstance(venue_error(READ, code, ""), Uncertain | Duplicate | None)


@pytest.mark.parametrize("call", [AMEND, CANCEL])
@pytest.mark.parametrize("code", [110001, 170213, 110008, 110010, 170139, 170142, 170143, 170190])
def test_a_cancel_or_amend_that_finds_no_open_order_concludes_nothing(call: CallKind, code: int) -> None:
    assert type(venue_error(call, code, "")) is NotFoundOrTooLate


@pytest.mark.parametrize("code", [110025, 110026, 110027, 110043, 34040])
def test_an_amend_to_what_already_is_has_succeeded(code: int) -> None:
    assert venue_error(AMEND, code, "not modified") is None


@pytest.mark.parametrize("call", [AMEND, CANCEL])
@pytest.mark.parametrize("code", [10014, 20006, 110072, 170141])
def test_a_repeated_cancel_or_amend_may_have_worked(call: CallKind, code: int) -> None:
    assert type(venue_error(call, code, "")) is Uncertain


@pytest.mark.parametrize("call", [CREATE, AMEND, CANCEL])
@pytest.mark.parametrize("code", [1, 110999, 99_999_999, -7])
def test_an_unknown_code_of_a_change_is_uncertain_and_never_a_refusal(call: CallKind, code: int) -> None:
    assert type(venue_error(call, code, "")) is Uncertain


def test_an_unknown_code_of_a_question_says_only_that_nothing_is_known() -> None:
    assert type(venue_error(READ, 110999, "")) is NotAccepted


def test_a_throttled_call_waits_as_long_as_it_was_told() -> None:
    error = venue_error(CREATE, 10006, "Too many visits!", retry_after_s=2.5)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 2.5


@pytest.mark.parametrize(
    ("status", "of_create", "of_read"),
    [
        (400, Refused, Refused),
        (401, RefusedByAccount, RefusedByAccount),
        (403, RateLimited, RateLimited),
        (404, Refused, Refused),
        (429, RateLimited, RateLimited),
        (408, Uncertain, NotAccepted),
        (302, Uncertain, NotAccepted),
        (500, Uncertain, NotAccepted),
        (502, Uncertain, NotAccepted),
        (503, Uncertain, NotAccepted),
        (504, Uncertain, NotAccepted),
        (200, Uncertain, NotAccepted),  # a body that is no envelope
    ],
)
def test_what_an_http_status_means(status: int, of_create: type[VenueError], of_read: type[VenueError]) -> None:
    assert type(http_error(CREATE, status, "<html>")) is of_create
    assert type(http_error(READ, status, "<html>")) is of_read


def test_a_banned_address_stays_silent_for_ten_minutes() -> None:
    error = http_error(READ, 403, "")
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 600


def test_every_kind_of_answer_has_a_code() -> None:
    assert set(ANSWERS.values()) == set(Answer)
