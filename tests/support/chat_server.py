"""A server on loopback that speaks as much of the chat completions API as the examples use, and
misbehaves as it is told: real HTTP for the real `openai` package."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from openai import AsyncOpenAI, DefaultAsyncHttpxClient


@dataclass(frozen=True)
class Reply:
    """What it does with one request. `body` is sent as it is."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    hangs_up: bool = False
    trickles: bool = False


HANGS = Reply(hangs=True)
"""Takes the request and never answers."""
HANGS_UP = Reply(hangs_up=True)
"""Takes the request and closes the connection."""
TRICKLES = Reply(trickles=True)
"""Answers a byte at a time, and is never done."""


def says(content: Any, *, finish_reason: str = "stop", refusal: str | None = None) -> Reply:
    """A chat completion; content that is no text is sent as JSON."""
    if content is not None and not isinstance(content, str):
        content = json.dumps(content)
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    completion = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
    return Reply(body=json.dumps({**completion, "choices": [choice]}))


def fails(status: int, code: str = "", message: str = "no", **headers: str) -> Reply:
    """An error as the API writes it; `retry_after` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps({"error": {"code": code, "message": message}}), named)


class ChatServer:
    """Gives each request the next reply, and the last one from then on. Keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = deque(replies)
        self.requests: list[dict[str, Any]] = []
        self.base_url = ""

    def replies_with(self, *replies: Reply) -> None:
        """What it does from now on."""
        self.replies = deque(replies)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        # It is on loopback, whatever proxy the machine has.
        direct = DefaultAsyncHttpxClient(trust_env=False)
        self.client = AsyncOpenAI(api_key="test", base_url=self.base_url, http_client=direct)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.close()
        await self.stop()

    async def stop(self) -> None:
        """Nothing listens there any more."""
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._take(reader)
            reply = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
            if reply.hangs:
                # Until the client has had enough and closes.
                await reader.read()
            elif reply.trickles:
                await self._trickle(writer)
            elif not reply.hangs_up:
                writer.write(_encoded(reply))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        assert first.startswith("POST /v1/chat/completions "), first
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        self.requests.append(json.loads(await reader.readexactly(int(headers["content-length"]))))

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)


def _encoded(reply: Reply) -> bytes:
    body = reply.body.encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
