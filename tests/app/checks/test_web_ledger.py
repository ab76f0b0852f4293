"""`verify` and who answers for the web views: nobody is a set that is stopped, and not the same as a bad answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.replay.reading import CannotCompare
from app.settings import Settings
from app.verify.tables_ledger import AWAY, UNREADABLE, ledger_of_web

NOBODY_LISTENS = "http://127.0.0.1:1"
HEAD = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"


def page(status: bytes, body: bytes) -> bytes:
    return HEAD % (status, len(body), body)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Where each call is answered so; then the connection ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


def settings(url: str, directory: Path) -> Settings:
    return Settings(web_url=url, data_dir=directory, api_key=SecretStr("k"))


@pytest.mark.parametrize(
    "answer",
    [page(b"401 Unauthorized", b"{}"), page(b"500 Internal Server Error", b"{}"), page(b"200 OK", b"<html>"), b""],
    ids=["wrong key", "view failed", "something else", "cut off"],
)
async def test_a_bad_answer_is_not_nobody(answer: bytes, tmp_path: Path) -> None:
    async with answering(answer) as url:
        with pytest.raises(CannotCompare) as refused:
            await ledger_of_web(settings(url, tmp_path))

    assert refused.value.code == UNREADABLE


async def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(CannotCompare) as refused:
        await ledger_of_web(settings(NOBODY_LISTENS, tmp_path))

    assert refused.value.code == AWAY
