"""Who may call: signatures over the bytes that arrived, the receive window, and the words of each refusal."""

from __future__ import annotations

import hashlib
import json
import time

import aiohttp
import pytest
from paper_client import KEY, SECRET, PaperClient, signed_headers

from exchanges.paper import ApiKey
from exchanges.paper.refusals import Refusal
from exchanges.paper.signing import KeyRing, signature

NOW_MS = 1_700_000_000_000


def hmac_by_hand(secret: bytes, message: bytes) -> str:
    """RFC 2104 written out with nothing but SHA-256."""
    block = secret.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()


def headers(payload: bytes, *, stamp: int = NOW_MS, window: str = "5000", key: str = KEY) -> dict[str, str]:
    sign = hmac_by_hand(SECRET.encode(), f"{stamp}{key}{window}".encode() + payload)
    return {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": str(stamp),
        "X-BAPI-RECV-WINDOW": window,
        "X-BAPI-SIGN": sign,
    }


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing((ApiKey(KEY, SECRET),))


def refusal_of(ring: KeyRing, given: dict[str, str], payload: bytes, now_ms: int = NOW_MS) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ring.authenticate(given, payload, now_ms)
    return caught.value


def test_the_signature_is_plain_hmac_sha256_in_hexadecimal() -> None:
    assert signature("key", b"The quick brown fox jumps over the lazy dog") == (
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"category=linear&symbol=BTCUSDT",
        b"cursor=page_args%3D12%26&b=%20",
        b'{"qty": "0.1", "symbol":"X"}',
        b"\xff\x00",
    ],
)
def test_a_payload_signed_by_hand_is_accepted(ring: KeyRing, payload: bytes) -> None:
    assert ring.authenticate(headers(payload), payload, NOW_MS).key == KEY


def test_the_same_json_with_other_spaces_is_another_payload(ring: KeyRing) -> None:
    refusal = refusal_of(ring, headers(b'{"a": 1}'), b'{"a":1}')
    assert refusal.code == 10004
    assert refusal.message == f'error sign! origin_string[{NOW_MS}{KEY}5000{{"a":1}}]'


@pytest.mark.parametrize("missing", ["X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-SIGN"])
def test_a_missing_header_is_a_bad_parameter(ring: KeyRing, missing: str) -> None:
    given = headers(b"")
    del given[missing]
    refusal = refusal_of(ring, given, b"")
    assert refusal.code == 10001
    assert "openapi sign params error!" in refusal.message


def test_an_unknown_key_is_refused_before_its_signature_is_looked_at(ring: KeyRing) -> None:
    assert refusal_of(ring, headers(b"", key="stranger"), b"").code == 10003


@pytest.mark.parametrize(("age_ms", "accepted"), [(5000, True), (5001, False), (-999, True), (-1000, False)])
def test_the_receive_window_reaches_back_by_its_size_and_ahead_by_less_than_a_second(
    ring: KeyRing, age_ms: int, accepted: bool
) -> None:
    given = headers(b"", stamp=NOW_MS - age_ms)
    if accepted:
        ring.authenticate(given, b"", NOW_MS)
    else:
        assert refusal_of(ring, given, b"").code == 10002


async def test_business_errors_come_with_http_200_and_the_whole_envelope(client: PaperClient) -> None:
    url = f"{client.exchange.url}/v5/order/realtime?category=linear"
    given = signed_headers(b"category=linear", secret="wrong")
    async with client.http.get(url, headers=given) as reply:
        assert reply.status == 200
        body = await reply.json()
    assert set(body) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert (body["retCode"], body["result"], body["retExtInfo"]) == (10004, {}, {})
    assert abs(body["time"] - time.time() * 1000) < 5000


async def test_an_empty_query_behind_a_question_mark_is_signed_as_nothing(client: PaperClient) -> None:
    url = aiohttp.client.URL(f"{client.exchange.url}/v5/account/info?", encoded=True)
    async with client.http.get(url, headers=signed_headers(b"")) as reply:
        assert (await reply.json())["retCode"] == 0


async def test_a_body_with_spaces_and_unsorted_keys_is_served(client: PaperClient) -> None:
    body = json.dumps({"symbol": "BTCUSDT", "category": "linear"}, indent=2).encode()
    url = f"{client.exchange.url}/v5/order/cancel-all"
    async with client.http.post(url, data=body, headers=signed_headers(body)) as reply:
        assert (await reply.json())["retCode"] == 0


async def test_an_unknown_path_is_a_404(client: PaperClient) -> None:
    async with client.http.get(f"{client.exchange.url}/v5/order/nothing") as reply:
        assert reply.status == 404
